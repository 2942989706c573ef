#include "gateway/access/admission.h"

#include <chrono>
#include <utility>

#include "gateway/telemetry/gateway_metrics.h"
#include "services/common/log.h"
#include "services/common/quota.h"

namespace allod::gateway::access {
namespace {

constexpr char kBuckets[] = "allod:gateway:limit:";

// `own` where it says something, else `usual`.
RateLimits Or(const RateLimits& own, const RateLimits& usual) {
  RateLimits out = usual;
  if (own.requests_per_minute > 0) out.requests_per_minute = own.requests_per_minute;
  if (own.tokens_per_minute > 0) out.tokens_per_minute = own.tokens_per_minute;
  if (own.concurrency > 0) out.concurrency = own.concurrency;
  return out;
}

// The tighter of both.
RateLimits Within(const RateLimits& own, const RateLimits& usual) {
  return {TighterLimit(own.requests_per_minute, usual.requests_per_minute),
          TighterLimit(own.tokens_per_minute, usual.tokens_per_minute),
          static_cast<int>(TighterLimit(own.concurrency, usual.concurrency))};
}

const RateLimits* Find(const std::map<std::string, RateLimits>& limits, const std::string& name) {
  const auto found = limits.find(name);
  return found == limits.end() ? nullptr : &found->second;
}

}  // namespace

const Admission::Level Admission::kKey{"key", "this key"};
const Admission::Level Admission::kWorkload{"key", "this workload"};
const Admission::Level Admission::kSession{"key", "this session"};
const Admission::Level Admission::kInstance{"instance", "this model, with all keys of the project together,"};
const Admission::Level Admission::kProject{"project", "this project, with all its keys together,"};
const Admission::Level Admission::kTenant{"tenant", "this tenant, with all its keys together,"};
// The same bucket, whoever of those below asks.
const Admission::Level Admission::kAbove{"tenant", "a tenant above this one, with all that is below it together,"};

Admission::Admission(const AdmissionLimits& limits, const LimitTable& table, const std::optional<RedisConfig>& redis)
    : limits_(limits), table_(table), limiter_({}, "", limits.gateways) {
  if (redis) lease_.emplace(*redis, kBuckets, limiter_);
}

void Admission::Stop() {
  if (lease_) lease_->Stop();
}

void Admission::Permit::ChargeTokens(std::int64_t tokens, SteadyTime now) {
  for (RateLimiter::Permit& permit : inner_) permit.ChargeTokens(tokens, now);
  for (RateLimiter::Permit& permit : outer_) permit.ChargeTokens(tokens, now);
}

const Admission::Level& Admission::OwnLevelOf(const Principal& principal) {
  return !principal.session.empty() ? kSession : !principal.rule.empty() ? kWorkload : kKey;
}

void Admission::NoteShadow(const Level& level, const std::string& id, const Error& error, SteadyTime now) {
  telemetry::CountLimited(level.name, true);
  const std::int64_t second = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  std::int64_t next = next_shadow_line_.load(std::memory_order_relaxed);
  if (second < next || !next_shadow_line_.compare_exchange_strong(next, second + 1)) return;
  Log(LogLevel::kInfo, "a limit in shadow would have refused a request; at most one line a second",
      {{"level", std::string(level.name)}, {"id", id}, {"message", error.message}});
}

Status Admission::Ask(const Level& level, const std::string& id, const RateLimits& limits, SteadyTime now,
                      Standing& standing, std::vector<RateLimiter::Permit>& permits, http::Headers& headers) {
  if (!limits.any()) return {};
  std::string bucket(level.name);
  bucket.append(limits.shadow ? "-shadow:" : ":").append(id);
  Standing own;
  auto permit = limiter_.Admit(bucket, level.who, limits, now, own);
  if (limits.shadow) {
    if (!permit) NoteShadow(level, id, permit.error(), now);
    permits.push_back(permit ? *std::move(permit) : limiter_.Enter(bucket, now));
    return {};
  }
  if (!permit) {
    telemetry::CountLimited(level.name, false);
    own.AddTo(headers);
    return std::unexpected(std::move(permit).error());
  }
  standing.TightenTo(own);
  permits.push_back(*std::move(permit));
  return {};
}

Result<Admission::Permit> Admission::Admit(const Principal& principal, SteadyTime now, http::Headers& headers) {
  Permit permit;
  Standing& standing = permit.standing_;
  const RateLimits& own = principal.limits;
  const auto ask = [&](const Level& level, const std::string& id, const RateLimits& limits,
                       std::vector<RateLimiter::Permit>& permits) {
    return Ask(level, id, limits, now, standing, permits, headers);
  };
  const Level& level = OwnLevelOf(principal);
  if (own.shadow) ALLOD_CHECK_OK(ask(level, principal.id, own, permit.inner_));
  ALLOD_CHECK_OK(ask(level, principal.id, own.shadow ? limits_.key : Within(own, limits_.key), permit.inner_));
  const auto pushed = table_.Of(principal.tenant);
  if (pushed != nullptr) {
    if (const RateLimits* project = Find(pushed->projects, principal.project)) {
      ALLOD_CHECK_OK(ask(kProject, principal.project, *project, permit.outer_));
    }
  }
  ALLOD_CHECK_OK(AskTenant(kTenant, principal.tenant, pushed.get(), now, permit, headers));
  for (std::size_t i = pushed == nullptr ? 0 : pushed->above.size(); i > 0; --i) {
    const std::string& above = pushed->above[i - 1];
    ALLOD_CHECK_OK(AskTenant(kAbove, above, table_.Of(above).get(), now, permit, headers));
  }
  standing.AddTo(headers);
  return permit;
}

Status Admission::AskTenant(const Level& level, const std::string& tenant, const TenantLimits* pushed, SteadyTime now,
                            Permit& permit, http::Headers& headers) {
  RateLimits of_tenant = limits_.tenant;
  if (pushed != nullptr && pushed->tenant.shadow) {
    ALLOD_CHECK_OK(Ask(level, tenant, pushed->tenant, now, permit.standing_, permit.outer_, headers));
  } else if (pushed != nullptr) {
    of_tenant = Or(pushed->tenant, limits_.tenant);
  }
  return Ask(level, tenant, of_tenant, now, permit.standing_, permit.outer_, headers);
}

Status Admission::AdmitTo(const std::string& instance, const Principal& principal, SteadyTime now, Permit& permit,
                          http::Headers& headers) {
  const auto pushed = table_.Of(principal.tenant);
  const RateLimits* limits = pushed == nullptr ? nullptr : Find(pushed->instances, instance);
  if (limits == nullptr) return {};
  const Status admitted = Ask(kInstance, instance, *limits, now, permit.standing_, permit.inner_, headers);
  if (admitted) {
    permit.standing_.AddTo(headers);
  } else {
    for (RateLimiter::Permit& outer : permit.outer_) outer.Refund();
  }
  return admitted;
}

}  // namespace allod::gateway::access
