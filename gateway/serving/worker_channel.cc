#include "gateway/serving/worker_channel.h"

#include <climits>
#include <utility>

#include "services/common/rpc/client.h"

namespace allod::gateway::serving {
namespace {

// How long one attempt to connect may take, which includes the start of the worker: more than anybody waits.
constexpr int kConnectPatienceMs = 900'000;
// A failed connection is discarded when it is seen, which must be before gRPC tries again.
constexpr int kReconnectPauseMs = 120'000;
// 256 vectors of 8192 dimensions.
constexpr int kAnswerBytesMax = 16 << 20;
constexpr int kRequestBytesMax = 4 << 20;
// Read ahead of a client that stalls; a message larger than that asks for its own room.
constexpr int kReadAheadBytes = 1024;
constexpr int kReadChunkBytes = 1024;
constexpr int kWriteBufferBytes = 8192;

grpc::ChannelArguments Arguments() {
  grpc::ChannelArguments args;
  args.SetMaxReceiveMessageSize(kAnswerBytesMax);
  args.SetMaxSendMessageSize(kRequestBytesMax);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectPatienceMs);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectPauseMs);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectPauseMs);
  args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, INT_MAX);
  // Calls are tried again by the dispatcher, which knows what was delivered; gRPC would keep each request for that.
  args.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  args.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  args.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kReadAheadBytes);
  args.SetInt(GRPC_ARG_HTTP2_WRITE_BUFFER_SIZE, kWriteBufferBytes);
  args.SetInt(GRPC_ARG_TCP_READ_CHUNK_SIZE, kReadChunkBytes);
  args.SetInt(GRPC_ARG_TCP_MAX_READ_CHUNK_SIZE, kReadChunkBytes);
  return args;
}

}  // namespace

std::shared_ptr<grpc::Channel> WorkerChannel::Get() {
  const std::lock_guard lock(mutex_);
  if (!channel_) channel_ = MakeChannel(target_, Arguments());
  return channel_;
}

void WorkerChannel::Discard(const std::shared_ptr<grpc::Channel>& failed) {
  std::shared_ptr<grpc::Channel> dropped;  // destroyed outside the lock
  const std::lock_guard lock(mutex_);
  if (channel_ == failed) dropped = std::exchange(channel_, nullptr);
}

}  // namespace allod::gateway::serving
