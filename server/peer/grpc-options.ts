import type { ChannelOptions, MethodDefinition, ServiceDefinition } from '@grpc/grpc-js'
import { asBuffer } from '../../core/bytes.ts'

export interface GrpcTransportOptions {
  /** A larger message, in either direction, ends its connection. */
  readonly messageBytesMax: number
  /** After this long without traffic the other side is asked for a sign of life; it has as long again to answer. */
  readonly keepaliveMs: number
  /** A dialed connection that is not open by then is given up. */
  readonly connectTimeoutMs?: number
  /** `send` answers false while more bytes than this wait to be handed to the system. */
  readonly sendWindowBytes?: number
  /** Sockets that one listener keeps; further ones are dropped as they arrive. */
  readonly connectionsMax?: number
}

export const connectTimeoutMsDefault = 5000
export const sendWindowBytesDefault = 1024 * 1024
export const connectionsMaxDefault = 4096

export const exchangePath = '/anneal.peer.v1.PeerLink/Exchange'
export const channelHeader = 'anneal-channel'

/** Serializer and deserializer of the stream: messages are bytes, and stay the bytes they are. */
export const passThrough = (bytes: Uint8Array): Buffer => asBuffer(bytes)

/** A bidirectional stream of messages that are passed through as they are; what they mean is the peer link's concern. */
const exchange: MethodDefinition<Uint8Array, Uint8Array> = {
  path: exchangePath,
  requestStream: true,
  responseStream: true,
  requestSerialize: passThrough,
  requestDeserialize: passThrough,
  responseSerialize: passThrough,
  responseDeserialize: passThrough
}

export const peerLinkService: ServiceDefinition = { Exchange: exchange }

// HTTP/2 starts with 64 KiB, which between regions 100 ms apart would mean 640 KiB a second.
export const receiveWindowBytes = 4 * 1024 * 1024

/** What both sides set because grpc-js leaves it off, unlimited, or looks for it in the environment. */
function commonOptions({ messageBytesMax, keepaliveMs }: GrpcTransportOptions): ChannelOptions {
  return {
    'grpc.max_receive_message_length': messageBytesMax,
    'grpc.max_send_message_length': messageBytesMax,
    'grpc.keepalive_time_ms': keepaliveMs,
    'grpc.keepalive_timeout_ms': keepaliveMs,
    // Channelz keeps counts of every message for a debugging service that is not offered here.
    'grpc.enable_channelz': 0
  }
}

export function serverOptions(options: GrpcTransportOptions): ChannelOptions {
  return { ...commonOptions(options), 'grpc.max_concurrent_streams': 1 }
}

const reconnectBackoffMsMax = 2000

export function dialOptions(options: GrpcTransportOptions): ChannelOptions {
  return {
    ...commonOptions(options),
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.enable_retries': 0,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': reconnectBackoffMsMax,
    // Small and bulk to one peer would otherwise share a TCP connection, and bulk would queue ahead of small.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc-node.flow_control_window': receiveWindowBytes
  }
}
