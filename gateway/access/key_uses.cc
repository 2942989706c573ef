#include "gateway/access/key_uses.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "allod/tenancy/v1/api_key.grpc.pb.h"
#include "services/common/catching.h"
#include "services/common/ids.h"
#include "services/common/log.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/timestamp.h"

namespace allod::gateway::access {
namespace {

// What tenancy takes at once, and of so many tenants only that a call which fails takes little with it: each is a
// transaction there.
constexpr int kUsesPerCall = 1000;
constexpr int kTenantsPerCall = 50;
// Short, because a call that is under way delays the end of the process.
constexpr std::chrono::milliseconds kTellTimeout{1000};
constexpr std::chrono::milliseconds kLastReportMax{500};

using Sorted = std::vector<std::pair<std::string, Time>>;

// From `next` on, which then is what follows.
tenancy::v1::ReportApiKeyUseRequest NextCall(const Sorted& uses, std::size_t& next) {
  tenancy::v1::ReportApiKeyUseRequest request;
  std::string tenant;
  int tenants = 0;
  for (; next < uses.size() && request.uses_size() < kUsesPerCall; ++next) {
    const auto& [name, time] = uses[next];
    if (std::string of = TenantOf(name); of != tenant) {
      if (++tenants > kTenantsPerCall) break;
      tenant = std::move(of);
    }
    auto& use = *request.add_uses();
    use.set_name(name);
    *use.mutable_use_time() = ToTimestamp(time);
  }
  return request;
}

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
        while (SleepFor(stop, interval)) Report([&stop] { return !stop.stop_requested(); });
      }) {}

void KeyUseReporter::Stop() {
  thread_.Stop();
  if (std::exchange(stopped_, true)) return;
  const auto until = std::chrono::steady_clock::now() + kLastReportMax;
  Report([until] { return std::chrono::steady_clock::now() < until; });
}

void KeyUseReporter::Report(const std::function<bool()>& go_on) {
  KeyUses::ByName taken = uses_.Take();
  Sorted uses(taken.begin(), taken.end());
  std::ranges::sort(uses);  // so that a tenant's stand together
  std::size_t told = 0;
  while (told < uses.size() && go_on()) {
    std::size_t next = told;
    const tenancy::v1::ReportApiKeyUseRequest request = NextCall(uses, next);
    const Status done = Catching("report which API keys were used", [&] { return tell_(request); });
    if (!done) {
      Log(LogLevel::kWarning, "cannot report which API keys were used, will try again",
          {{"keys", std::to_string(uses.size() - told)}, {"error", done.error().message}});
      break;
    }
    told = next;
  }
  uses_.PutBack(KeyUses::ByName(uses.begin() + static_cast<std::ptrdiff_t>(told), uses.end()));
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
