#include "tests/bench/pool/computed_usage.h"

#include <stdexcept>
#include <thread>

#include "allod/billing/v1/computed_usage.grpc.pb.h"
#include "services/common/rpc/client.h"

namespace allod::bench {

namespace {

using billing::v1::ComputedUsageService;

// Nodes report much more often than this.
constexpr std::chrono::seconds kQuiet(6);

std::chrono::system_clock::time_point TimeOf(const google::protobuf::Timestamp& time) {
  const auto since_epoch = std::chrono::seconds(time.seconds()) + std::chrono::nanoseconds(time.nanos());
  return std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(since_epoch));
}

std::vector<ComputedEvent> ReadAll(ComputedUsageService::Stub& billing, const std::string& tenant) {
  std::vector<ComputedEvent> out;
  billing::v1::ListComputedUsageRequest request;
  request.set_parent(tenant);
  request.set_page_size(1000);
  do {
    const auto page = CallUnary(billing, &ComputedUsageService::Stub::ListComputedUsage, request, Caller::Operator(),
                                std::chrono::seconds(15));
    if (!page) throw std::runtime_error("computed usage cannot be listed: " + page.error().message);
    for (const auto& event : page->computed_usage()) {
      out.push_back({event.request_id(), TimeOf(event.start_time()), TimeOf(event.end_time()), event.sampled_tokens(),
                     event.outcome() == billing::v1::COMPUTED_OUTCOME_CANCELLED});
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return out;
}

}  // namespace

std::vector<ComputedEvent> ComputedUsageOf(const Installation& installation, const TenantAccess& tenant,
                                           std::size_t expected) {
  const auto billing = ComputedUsageService::NewStub(MakeChannel(installation.OperatorTarget()));
  std::size_t count = 0;
  for (auto deadline = SteadyClock::now() + kQuiet;;) {
    std::vector<ComputedEvent> known = ReadAll(*billing, tenant.name);
    if (known.size() > count) {
      count = known.size();
      deadline = SteadyClock::now() + kQuiet;
    }
    if (count >= expected || SteadyClock::now() > deadline) return known;
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

}  // namespace allod::bench
