import type { LifeParameters } from './life-parameters.ts'

/** A life in which something had gone wrong once. */
export interface FailedSeed {
  readonly seed: number
  readonly override: Partial<LifeParameters>
  /** What it had found. */
  readonly found: string
}

/** Lived anew with every run of the tests: what once went wrong does not do so again unnoticed. */
export const failedSeeds: readonly FailedSeed[] = [
  {
    seed: 1047,
    override: { nodes: 7 },
    found: 'a damaged row that no other replica had anything for could not be read from all, ever'
  },
  {
    seed: 1394,
    override: {},
    found: 'likewise, with synced writes: one replica had confirmed, and then its row was damaged'
  },
  {
    seed: 7322,
    override: {},
    found:
      'a damaged large value that no other replica had: the repair changed nothing, so the row stayed unreadable'
  },
  {
    seed: 535,
    override: {},
    found:
      'two minutes ahead of a clock, differences were too young to be repaired, until it had caught up'
  },
  {
    seed: 580,
    override: {},
    found:
      'late messages of an exchange that was over made room for more exchanges at a time than allowed'
  },
  {
    seed: 100122,
    override: { nodes: 5 },
    found:
      'an old copy of a disk was called equal to a replica whose tombstone counted as absent, and showed the value once that was collected'
  },
  {
    seed: 100348,
    override: {},
    found:
      'a damaged tombstone that all others had collected: with read repair off the row stayed unreadable, and reads from all replicas failed for ever'
  },
  {
    seed: 100761,
    override: {},
    found:
      'of the check itself: rows of an exchange that made the replicas equal were counted when it ended, and taken for a disturbance of the silence'
  },
  {
    seed: 1000234,
    override: { pausesPerMinute: 1.4168987864123568, returnReads: 2 },
    found:
      'a proof that was learned in the very moment in which the store closed was written down too late, and that ended the process'
  },
  {
    seed: 4000538,
    override: { nodes: 5, pausesPerMinute: 2.9757809909802115, returnReads: 0 },
    found:
      'of the check itself: what a hint held and a collected tombstone had overwritten was taken for something that a replica has never met'
  },
  {
    seed: 5000066,
    override: { nodes: 6, returnReads: 6 },
    found:
      'the disk of a coordinator failed after a hint of the write had gone out: nobody held it but as a hint, and watermarks passed it'
  },
  {
    seed: 5004203,
    override: { pausesPerMinute: 2.4801314154647636, returnReads: 6 },
    found:
      'a node that was back with an old copy of its disk was asked alone, before it had heard what it missed, and showed what was deleted'
  },
  {
    seed: 5005803,
    override: { returnReads: 6 },
    found: 'likewise'
  },
  {
    seed: 5009918,
    override: { pausesPerMinute: 2.893967449745888, returnReads: 6 },
    found: 'likewise'
  },
  {
    seed: 5011079,
    override: { returnReads: 6 },
    found: 'likewise'
  },
  {
    seed: 5019858,
    override: { pausesPerMinute: 2.8183654250205343, returnReads: 6 },
    found: 'likewise'
  },
  {
    seed: 5015707,
    override: {},
    found:
      'a row that had turned old was pushed by the read repair of a read that had failed, to replicas that had let it go'
  },
  {
    seed: 5010311,
    override: { pausesPerMinute: 1.701102131273977 },
    found:
      'a write was held by its coordinator and as a hint elsewhere; the disk of the coordinator was lost, watermarks passed the write, and the hint was put into quarantine'
  },
  {
    seed: 7000289,
    override: { nodes: 5, returnReads: 2 },
    found:
      'of the check itself: a replica whose row had just turned old was asked alone, and cannot know better before the scrub has come past'
  },
  {
    seed: 7013777,
    override: { pausesPerMinute: 2.6674354761243846, returnReads: 0 },
    found:
      'a damaged row of which one other replica had the tombstone, and one had collected it, was never given a copy'
  },
  {
    seed: 7009778,
    override: { pausesPerMinute: 2.775487930824024 },
    found: 'of the check itself: a node with an old disk that could reach nobody was asked alone'
  },
  {
    seed: 8503862,
    override: {
      partitions: 8,
      durationMs: 120_000,
      calm: 4,
      rowCacheBytes: 2048,
      pausesPerMinute: 1.68872316935442
    },
    found:
      'a row turned old, its actor went on there, and the next write deleted elsewhere what the row had forgotten'
  },
  {
    seed: 8516476,
    override: { partitions: 8, durationMs: 30_000, calm: 2, rowCacheBytes: 2048, returnReads: 6 },
    found:
      'of the check itself: replicas were called equal while one had rows that nobody had synced, and the others lacked them'
  },
  {
    seed: 8519725,
    override: { durationMs: 30_000, calm: 2, rowCacheBytes: 16_384 },
    found: 'likewise'
  },
  {
    seed: 8604586,
    override: {},
    found:
      'of the check itself: a read was to know of a write that power failures had taken from both who had confirmed it'
  },
  {
    seed: 8805233,
    override: {},
    found:
      'a node that became a member alone dropped its half open links to the others, and nobody dialed anybody again'
  }
]
