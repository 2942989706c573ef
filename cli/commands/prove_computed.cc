#include "cli/commands/prove_computed.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "allod/billing/v1/computed_usage.grpc.pb.h"
#include "services/common/ids.h"
#include "services/common/rpc/timestamp.h"

namespace allod::cli::commands {
namespace {

namespace billing_v1 = allod::billing::v1;

constexpr int kEventsPerCall = 100;
constexpr int kTimesTold = 2;
constexpr std::chrono::milliseconds kTellTimeout{3000};
constexpr std::chrono::milliseconds kTellPause{50};
constexpr std::chrono::seconds kToldWithin{30};
const Caller kAsNode = Caller::Node("prove");

billing_v1::ComputedUsage EventOf(const Trial& trial, const PretendedRequests& requests, const std::string& id,
                                  const std::string& replica, Time now) {
  billing_v1::ComputedUsage out;
  out.set_event_id("prove/" + id);
  out.set_request_id(id);
  out.set_tenant_uid(Uuid::FromName(trial.tenant).ToString());
  out.set_instance(requests.instance);
  out.set_node("nodes/prove");
  out.set_replica_uid(replica);
  out.set_prompt_tokens_computed(requests.prompt_tokens);
  out.set_sampled_tokens(requests.completion_tokens);
  out.set_outcome(billing_v1::COMPUTED_OUTCOME_COMPLETED);
  *out.mutable_start_time() = ToTimestamp(now);
  *out.mutable_end_time() = ToTimestamp(now);
  return out;
}

// Until it is recorded or refused.
Status Tell(const net::Services& services, const billing_v1::RecordComputedUsageRequest& batch) {
  using Computed = billing_v1::ComputedUsageService;
  const auto end = std::chrono::steady_clock::now() + kToldWithin;
  while (true) {
    const auto told = CallUnary(*net::Connect<Computed>(services), &Computed::Stub::RecordComputedUsage, batch, kAsNode,
                                kTellTimeout);
    if (told && told->refusals_size() > 0) {
      return Internal("computed usage: " + told->refusals(0).reason() + ": " + told->refusals(0).message());
    }
    if (told && told->postponed_event_ids().empty()) return {};
    if (!told && told.error().code != Code::kUnavailable && told.error().code != Code::kDeadlineExceeded) {
      return std::unexpected(told.error());
    }
    if (std::chrono::steady_clock::now() > end) {
      return Fail(Code::kUnavailable, "NOT_RECORDED", "billing did not record in time what was computed");
    }
    std::this_thread::sleep_for(kTellPause);
  }
}

}  // namespace

Status TellComputed(const net::Services& services, const Trial& trial, const PretendedRequests& requests) {
  const Time now = std::chrono::time_point_cast<Time::duration>(std::chrono::system_clock::now());
  const std::string replica = Uuid::V7().ToString();
  for (std::size_t begin = 0; begin < requests.ids.size(); begin += kEventsPerCall) {
    billing_v1::RecordComputedUsageRequest batch;
    const std::size_t end = std::min(begin + kEventsPerCall, requests.ids.size());
    for (std::size_t i = begin; i < end; ++i) {
      *batch.add_events() = EventOf(trial, requests, requests.ids[i], replica, now);
    }
    for (int times = 0; times < kTimesTold; ++times) ALLOD_CHECK_OK(Tell(services, batch));
  }
  return {};
}

}  // namespace allod::cli::commands
