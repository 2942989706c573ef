#include "services/billing/events/event_export.h"

#include <algorithm>

#include "services/billing/events/sink.h"
#include "services/common/log.h"
#include "services/common/tenant_round.h"

namespace allod::billing::events {
namespace {

constexpr std::chrono::seconds kExportPeriod{1};
constexpr std::chrono::seconds kRetryMax{60};
constexpr int kTenantsPerRead = 200;
constexpr int kReadsPerTenant = 20;  // then it is another's turn
constexpr std::string_view kExportFailed = "EXPORT_FAILED";

}  // namespace

void ExportLoop::Start() {
  thread_ = OwnedThread("event export " + name_, [this](const std::stop_token& stop) { Loop(stop); });
}

void ExportLoop::Stop() { thread_.Stop(); }

Result<int> ExportLoop::PutAll(const TenantBehind& behind, const std::stop_token& stop) {
  int count = 0;
  std::int64_t cursor = behind.cursor;
  for (int i = 0; i < kReadsPerTenant && !stop.stop_requested(); ++i) {
    ALLOD_TRY(const TenantRows read, store_.ReadRows(behind.tenant, cursor));
    if (read.rows.empty()) break;
    std::vector<std::string> events;
    for (const OutboxRow& row : read.rows) {
      for (std::string& event : ToCloudEvents(read.tenant_name, row)) events.push_back(std::move(event));
    }
    if (!events.empty()) ALLOD_CHECK_OK(destination_.Put(events));
    cursor = read.rows.back().sequence;
    ALLOD_CHECK_OK(store_.Advance(behind.tenant, name_, cursor));
    count += static_cast<int>(events.size());
  }
  return count;
}

Result<int> ExportLoop::RunOnce(const std::stop_token& stop) {
  int count = 0;
  ALLOD_CHECK_OK(GoRound(
      set_aside_, clock_,
      TenantRound<TenantBehind>{.stage = name_,
                                .page_size = kTenantsPerRead,
                                .find = [&](const auto& after) { return store_.Behind(name_, after, kTenantsPerRead); },
                                .work = [&](const TenantBehind& behind) -> Status {
                                  ALLOD_TRY(const int put, PutAll(behind, stop));
                                  count += put;
                                  return {};
                                },
                                .stop = stop,
                                .ends = [](const Error& error) { return error.reason == kExportFailed; }}));
  return count;
}

void ExportLoop::Loop(const std::stop_token& stop) {
  bool failing = false;
  Time failing_since;
  std::chrono::seconds wait = kExportPeriod;
  while (!stop.stop_requested()) {
    const Result<int> done = RunOnce(stop);
    if (done) {
      failing = false;
      wait = kExportPeriod;
    } else {
      if (!failing) {
        failing = true;
        failing_since = clock_.Now();
        Log(LogLevel::kWarning, "an export of events takes none; it is tried again",
            {{"export", name_}, {"reason", done.error().reason}, {"message", done.error().message}});
      }
      if (done.error().reason == kExportFailed && clock_.Now() - failing_since > kSuspendAfter) {
        Log(LogLevel::kError,
            "an export of events failed for too long: it gets none, and none are kept for it, until billing is started "
            "again",
            {{"export", name_}, {"message", done.error().message}});
        // The others stay.
        if (store_.RemoveExport(name_)) return;
      }
      wait = std::min(wait * 2, kRetryMax);
    }
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stop, wait, [] { return false; });
  }
}

}  // namespace allod::billing::events
