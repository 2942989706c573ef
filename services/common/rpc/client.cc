#include "services/common/rpc/client.h"

#include <grpc/grpc.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "services/common/rpc/credentials.h"

namespace allod {
namespace {

constexpr int kMessageBytesMax = 4 << 20;
constexpr std::chrono::milliseconds kPatienceMax{1000};
constexpr std::chrono::milliseconds kPause{50};

// gRPC moves a handshake on only while some call waits on the channel, or when this timer fires (every 5 s by default).
// Calls here fail at once while there is no connection, so without the timer a peer that was started again would stay
// unreachable for many attempts. Read when gRPC is first used, hence before main().
[[maybe_unused]] const int kBackupPollSet =
    setenv("GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS", "50", /*overwrite=*/0);

}  // namespace

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target) {
  grpc::ChannelArguments args;
  args.SetMaxReceiveMessageSize(kMessageBytesMax);
  args.SetMaxSendMessageSize(kMessageBytesMax);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 500);  // also how long one attempt to connect may take
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  args.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  return MakeChannel(target, args);
}

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target, const grpc::ChannelArguments& arguments) {
  grpc::ChannelArguments args = arguments;
  // Never given back: when the last user of gRPC goes, the library's own shutdown may wait 10 s for its backup poller.
  static const bool keep_library = (grpc_init(), true);
  (void)keep_library;
  // The peers are on this host or in this installation: a proxy of the environment is never meant for them.
  args.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // One channel's failed attempts must not delay another's.
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(target, Credentials::OfChannel(), args);
}

std::unique_ptr<grpc::ClientContext> MakeContext(const Caller& caller, std::chrono::milliseconds timeout,
                                                 const Trace* trace) {
  auto context = MakeStreamContext(caller, trace);
  context->set_deadline(std::chrono::system_clock::now() + CurrentDeadline().Bound(timeout));
  return context;
}

std::unique_ptr<grpc::ClientContext> MakeStreamContext(const Caller& caller, const Trace* trace) {
  auto context = std::make_unique<grpc::ClientContext>();
  caller.AttachTo(*context);
  if (trace != nullptr) context->AddMetadata(Trace::kKey, trace->ToString());
  return context;
}

ConnectPatience::ConnectPatience(std::chrono::milliseconds timeout)
    : deadline_(std::chrono::steady_clock::now() + timeout),
      patience_ends_(std::min(deadline_, std::chrono::steady_clock::now() + kPatienceMax) - 2 * kPause) {}

bool ConnectPatience::TryAgain(const grpc::Status& status) const {
  // gRPC has no code for "never sent". Should its words change, calls fail at once instead of after a wait.
  const bool never_sent = status.error_code() == grpc::StatusCode::UNAVAILABLE && status.error_details().empty() &&
                          status.error_message().starts_with("failed to connect to all addresses");
  if (!never_sent || std::chrono::steady_clock::now() >= patience_ends_) return false;
  std::this_thread::sleep_for(kPause);
  return true;
}

std::chrono::milliseconds ConnectPatience::Left() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - std::chrono::steady_clock::now());
}

}  // namespace allod
