#include "gateway/access/key_uses.h"

#include <algorithm>
#include <utility>

#include "allod/tenancy/v1/api_key.grpc.pb.h"
#include "services/common/catching.h"
#include "services/common/log.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/timestamp.h"

namespace allod::gateway::access {
namespace {

// What tenancy takes at once.
constexpr int kUsesPerCall = 1000;
// Short, because the last call delays the end of the process.
constexpr std::chrono::milliseconds kTellTimeout{500};

}  // namespace

void KeyUses::Keep(const std::string& key_name, Time time) {
  const auto found = uses_.find(key_name);
  if (found != uses_.end()) {
    found->second = std::max(found->second, time);
  } else if (uses_.size() < kKeysMax) {
    uses_.emplace(key_name, time);
  }
}

void KeyUses::Note(const std::string& key_name, Time time) {
  const std::lock_guard lock(mutex_);
  Keep(key_name, time);
}

KeyUses::ByName KeyUses::Take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(uses_, {});
}

void KeyUses::PutBack(ByName uses) {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, time] : uses) Keep(name, time);
}

std::size_t KeyUses::size() const {
  const std::lock_guard lock(mutex_);
  return uses_.size();
}

KeyUseReporter::KeyUseReporter(KeyUses& uses, std::chrono::milliseconds interval, Tell tell)
    : uses_(uses), tell_(std::move(tell)), thread_("key use", [this, interval](const std::stop_token& stop) {
        while (SleepFor(stop, interval)) Report();
      }) {}

void KeyUseReporter::Stop() {
  thread_.Stop();
  if (!std::exchange(stopped_, true)) Report();
}

void KeyUseReporter::Report() {
  KeyUses::ByName left = uses_.Take();
  while (!left.empty()) {
    tenancy::v1::ReportApiKeyUseRequest request;
    for (auto it = left.begin(); it != left.end() && request.uses_size() < kUsesPerCall; ++it) {
      auto& use = *request.add_uses();
      use.set_name(it->first);
      *use.mutable_use_time() = ToTimestamp(it->second);
    }
    const Status told = Catching("report which API keys were used", [&] { return tell_(request); });
    if (!told) {
      Log(LogLevel::kWarning, "cannot report which API keys were used, will try again",
          {{"keys", std::to_string(left.size())}, {"error", told.error().message}});
      return uses_.PutBack(std::move(left));
    }
    for (const auto& use : request.uses()) left.erase(use.name());
  }
}

std::unique_ptr<KeyUseReporter> ReportKeyUses(std::shared_ptr<grpc::Channel> tenancy, KeyUses& uses,
                                              std::chrono::milliseconds interval) {
  using Stub = tenancy::v1::ApiKeyService::Stub;
  const std::shared_ptr<Stub> stub = tenancy::v1::ApiKeyService::NewStub(std::move(tenancy));
  return std::make_unique<KeyUseReporter>(
      uses, interval, [stub](const tenancy::v1::ReportApiKeyUseRequest& request) -> Status {
        ALLOD_CHECK_OK(CallUnary(*stub, &Stub::ReportApiKeyUse, request, Caller::Service("gateway"), kTellTimeout));
        return {};
      });
}

}  // namespace allod::gateway::access
