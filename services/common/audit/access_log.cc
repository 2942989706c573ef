#include "services/common/audit/access_log.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "services/common/catching.h"
#include "services/common/log.h"
#include "services/common/set_aside.h"

namespace allod::audit {
namespace {

constexpr std::chrono::seconds kPeriod{1};
constexpr std::chrono::seconds kRetry{10};

// What only shows: changes are recorded where they are made.
bool IsRead(std::string_view permission) {
  static constexpr std::array<std::string_view, 4> kVerbs = {"get", "list", "read", "wait"};
  return std::ranges::find(kVerbs, permission.substr(permission.rfind('.') + 1)) != kVerbs.end();
}

}  // namespace

void AccessLog::OnRefused(const Asked& asked, const Error& error) {
  if (asked.caller.kind != Caller::Kind::kTenant) return;
  Note("tenants/" + asked.caller.own_tenant(), asked, Outcome::kRefused, error.reason);
}

void AccessLog::OnAnswered(const Asked& asked) {
  if (asked.caller.kind != Caller::Kind::kOperator || !IsRead(asked.method.access.permission())) return;
  std::string tenant = TenantOf(asked.resource);
  if (tenant.empty() || SafeName(tenant) != tenant) return;
  Note(std::move(tenant), asked, Outcome::kDone, "");
}

void AccessLog::Note(std::string tenant, const Asked& asked, Outcome outcome, std::string reason) {
  Access access{.tenant = std::move(tenant),
                .actor = asked.caller.ToActor(),
                .action = asked.method.access.permission(),
                .resource = std::string(asked.resource),
                .outcome = outcome,
                .reason = std::move(reason),
                .trace_id = std::string(asked.trace_id)};
  Record(std::move(access));
}

void AccessLog::Record(Access access) {
  const std::scoped_lock lock(mutex_);
  tally_.Note(std::move(access), clock_.Now());
}

Status AccessLog::Write(const std::string& tenant, const std::vector<AccessTally::Due>& due) {
  const auto written = pool_.Run<int>(TenantId{Uuid::FromName(tenant)}, [&](TenantTx& tx) -> Result<int> {
    // Who exists and has nothing here has no log yet, and neither has who does not exist: there was nothing to be read.
    // Only a refusal, of a caller whose tenant is known, begins one.
    bool is_begun = log_.ReadHead(tx, tenant).sequence > 0;
    for (const AccessTally::Due& one : due) {
      Entry entry = EntryOf(one);
      is_begun = is_begun || entry.outcome == Outcome::kRefused;
      if (!is_begun) continue;
      if (entry.actor.kind.empty()) entry.actor = {"service", service_, ""};
      ALLOD_CHECK_OK(log_.Append(tx, tenant, std::move(entry)));
    }
    return static_cast<int>(due.size());
  });
  if (!written) return std::unexpected(written.error());
  return {};
}

Status AccessLog::WriteDue(bool all) {
  std::map<std::string, std::vector<AccessTally::Due>> due;
  {
    const std::scoped_lock lock(mutex_);
    due = tally_.TakeDue(clock_.Now(), all);
  }
  Status out;
  for (auto& [tenant, entries] : due) {
    Status written = out;  // the database is away: the rest is not tried
    if (written)
      written = Catching("write to an audit log", [&, &name = tenant, &list = entries] { return Write(name, list); });
    if (written) continue;
    // In doubt it is not repeated: twice would be a lie, and an entry in doubt has most likely been written.
    if (written.error().reason != "COMMIT_IN_DOUBT") {
      const std::scoped_lock lock(mutex_);
      tally_.GiveBack(std::move(entries), clock_.Now() + kRetry);
    }
    if (out && ConcernsEverybody(written.error())) {
      out = written;
    } else if (out) {
      Log(LogLevel::kWarning, "a tenant's audit log could not be written; the others go on",
          {{"tenant", tenant}, {"reason", written.error().reason}, {"message", written.error().message}});
    }
  }
  return out;
}

void AccessLog::Loop(const std::stop_token& stop) {
  bool failing = false;
  while (SleepFor(stop, kPeriod)) {
    const Status written = WriteDue();
    if (!written && !failing) {
      Log(LogLevel::kWarning, "refusals and operators' reads wait for the audit log",
          {{"reason", written.error().reason}, {"message", written.error().message}});
    }
    failing = !written;
  }
}

void AccessLog::Start() {
  thread_ = OwnedThread("access log", [this](const std::stop_token& stop) { Loop(stop); });
}

void AccessLog::Stop() {
  thread_.Stop();
  (void)WriteDue(true);  // whatever could not be written is lost with the process
}

}  // namespace allod::audit
