import { truncateSync, writeFileSync } from 'node:fs'
import { runCommand } from './command.ts'

const diskBytes = 128 * 1024 * 1024
const attempts = 40

/** EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH, of the kernel's fs/ext4/ext4.h. */
const shutDown = `
import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack("I", 2))
`

/**
 * An ext4 in a file, on a loop device, whose power can be cut. The file system itself offers that, for tests of its own
 * recovery: from one moment on nothing reaches the device any more, neither data nor journal, and every further write
 * fails. What was not synced is then gone as it would be with the machine, and mounting it again replays the journal.
 */
export class PowerSwitch {
  readonly #image: string
  readonly #directory: string

  private constructor(image: string, directory: string) {
    this.#image = image
    this.#directory = directory
  }

  /** Mounts a new file system on `directory`. */
  static async create(image: string, directory: string): Promise<PowerSwitch> {
    writeFileSync(image, '')
    truncateSync(image, diskBytes)
    await runCommand('mkfs.ext4', '-q', '-F', image)
    const power = new PowerSwitch(image, directory)
    await power.on()
    return power
  }

  async off(): Promise<void> {
    await runCommand('python3', '-c', shutDown, this.#directory)
  }

  /** Once nobody has a file open any more: back to what was on the device when the power went off. */
  async recover(): Promise<void> {
    await this.remove()
    await this.on()
  }

  async on(): Promise<void> {
    await runCommand('mount', '-o', 'loop', this.#image, this.#directory)
  }

  /** A process that was killed may hold the file system for another moment. */
  async remove(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await runCommand('umount', this.#directory)
        return
      } catch (error) {
        if (attempt === attempts) throw error
      }
    }
  }
}
