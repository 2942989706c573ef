#include "services/tenancy/key_feed.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "services/common/catching.h"

namespace allod::tenancy {
namespace {

// A change made by another process is to reach gateways within a second.
constexpr std::chrono::milliseconds kRefreshInterval{750};
// Of one question to the store.
constexpr int kTenantsPerPage = 500;
// A tenant whose keys cannot be read this often does not keep the others from being served after a start. Its keys are
// then unknown.
constexpr int kTriesBeforeStart = 3;
constexpr std::string_view kStage = "keys";

TenantId UidOf(const TenantKeysVersion& version) { return {Uuid::FromName("tenants/" + version.tenant)}; }

}  // namespace

KeyFeed::KeyFeed(Store& store, const Clock& clock)
    // What a round half changed is read anew by the next process.
    : store_(store), clock_(clock), loop_("API keys", kRefreshInterval, [this] { return Refresh(); }) {}

void KeyFeed::Stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  loop_.Stop();
}

Status KeyFeed::Refresh() {
  const std::scoped_lock refreshing(refresh_mutex_);
  DropExpired();  // needs no store, so it comes before what may fail
  std::vector<TenantKeysVersion> page;
  do {
    std::int64_t after = 0;
    {
      const std::scoped_lock lock(mutex_);
      after = version_;
    }
    ALLOD_TRY(page, store_.KeysVersions(after, kTenantsPerPage));
    for (const TenantKeysVersion& version : page) ALLOD_CHECK_OK(RefreshTenantOrSetAside(version));
  } while (page.size() == kTenantsPerPage);
  std::map<std::string, TenantKeysVersion> again;
  {
    const std::scoped_lock lock(mutex_);
    again = aside_;
  }
  bool complete = true;
  for (const auto& [tenant, version] : again) {
    if (!set_aside_.Waits(UidOf(version), kStage, clock_.Now())) ALLOD_CHECK_OK(RefreshTenantOrSetAside(version));
    const int failures = set_aside_.Failures(UidOf(version), kStage);
    complete = complete && (failures == 0 || failures >= kTriesBeforeStart);
  }
  {
    const std::scoped_lock lock(mutex_);
    loaded_ = loaded_ || complete;
  }
  changed_.notify_all();
  return {};
}

Status KeyFeed::RefreshTenantOrSetAside(const TenantKeysVersion& version) {
  const Time now = clock_.Now();
  const bool stopped = version.standing == KeysStanding::kSuspended || version.standing == KeysStanding::kDeleting;
  if (stopped) {
    const std::scoped_lock lock(mutex_);
    Stand(version.tenant, version.standing);
  }
  if (!set_aside_.Waits(UidOf(version), kStage, now)) {
    const Status read = Catching("read a tenant's keys", [&] { return RefreshTenant(version); });
    if (read) {
      set_aside_.Succeed(UidOf(version), kStage);
      return {};
    }
    if (ConcernsEverybody(read.error())) return read;
    set_aside_.Fail(UidOf(version), kStage, read.error(), now, "tenants/" + version.tenant);
  }
  const std::scoped_lock lock(mutex_);
  // That none of its keys is let in is all that is to be known of it until it is in force again.
  stopped ? void(aside_.erase(version.tenant)) : void(aside_[version.tenant] = version);
  version_ = std::max(version_, version.version);
  return {};
}

void KeyFeed::Stand(const std::string& id, KeysStanding standing) {
  if (standing == KeysStanding::kGone) standing = KeysStanding::kInForce;
  Tenant& tenant = tenants_[id];
  if (tenant.standing == standing) return;
  tenant.standing = standing;
  standings_.erase(tenant.standing_revision);
  tenant.standing_revision = ++revision_;
  standings_[revision_] = std::make_shared<const TenantStanding>(TenantStanding{id, standing});
}

Status KeyFeed::RefreshTenant(const TenantKeysVersion& version) {
  std::optional<TenantKeysVersion> known;
  {
    const std::scoped_lock lock(mutex_);
    if (const auto found = tenants_.find(version.tenant); found != tenants_.end()) known = found->second.version;
  }
  // Keys read after the version may be newer than it; then the next refresh reads them once more.
  const bool is_gone = version.standing == KeysStanding::kGone;
  const bool whole = !known || is_gone;
  std::vector<ApiKey> keys;
  if (!is_gone) {
    ALLOD_TRY(keys, whole ? store_.ValidKeys(version.tenant, clock_.Now() - kExpiredKept)
                          : store_.KeysChanged(version.tenant, known->version));
  }
  std::shared_ptr<const TenantLimits> limits;
  if (version.limits_version > (known ? known->limits_version : 0)) {
    ALLOD_TRY(TenantLimits read, store_.LimitsOf(version.tenant));
    limits = std::make_shared<const TenantLimits>(std::move(read));
  }
  const std::scoped_lock lock(mutex_);
  Tenant& tenant = tenants_[version.tenant];
  tenant.version = version;
  if (limits != nullptr) {
    limits_.erase(tenant.limits_revision);
    tenant.limits_revision = ++revision_;
    limits_[tenant.limits_revision] = std::move(limits);
  }
  if (whole) {
    std::set<std::string> gone;
    for (const auto& [kid, entry] : tenant.keys) gone.insert(kid);
    for (const ApiKey& key : keys) gone.erase(key.kid);
    for (const std::string& kid : gone) Drop(tenant, kid);
  }
  const Time kept_since = clock_.Now() - kExpiredKept;
  for (const ApiKey& key : keys) {
    const bool holds = !key.revoke_time && (!key.expire_time || *key.expire_time > kept_since);
    holds ? Hold(tenant, key) : Drop(tenant, key.kid);
  }
  Stand(version.tenant, version.standing);
  aside_.erase(version.tenant);
  version_ = std::max(version_, version.version);
  return {};
}

void KeyFeed::DropExpired() {
  const Time before = clock_.Now() - kExpiredKept;
  {
    const std::scoped_lock lock(mutex_);
    while (!expiries_.empty() && expiries_.begin()->time <= before) {
      const Expiry expired = *expiries_.begin();
      expiries_.erase(expiries_.begin());
      Drop(tenants_[expired.tenant], expired.kid);
    }
  }
  changed_.notify_all();
}

void KeyFeed::Hold(Tenant& tenant, const ApiKey& key) {
  Entry& entry = tenant.keys[key.kid];
  if (entry.change != nullptr) {
    const std::optional<Time>& known = entry.change->key.expire_time;
    // A key never changes except by being revoked or shortened.
    if (known == key.expire_time) return;
    if (known) expiries_.erase({*known, key.tenant, key.kid});
    log_.erase(entry.revision);
  } else {
    ++keys_;
  }
  entry = {std::make_shared<const KeyChange>(KeyChange{key, tenant.version->currency_code, false}), ++revision_};
  log_[entry.revision] = entry.change;
  if (key.expire_time) expiries_.insert({*key.expire_time, key.tenant, key.kid});
}

void KeyFeed::Drop(Tenant& tenant, const std::string& kid) {
  const auto found = tenant.keys.find(kid);
  if (found == tenant.keys.end()) return;
  const ApiKey& key = found->second.change->key;
  if (key.expire_time) expiries_.erase({*key.expire_time, key.tenant, kid});
  KeyChange revoked;
  revoked.key.tenant = key.tenant;
  revoked.key.project = key.project;
  revoked.key.kid = kid;
  revoked.revoked = true;
  log_.erase(found->second.revision);
  tenant.keys.erase(found);
  --keys_;
  log_[++revision_] = std::make_shared<const KeyChange>(std::move(revoked));
  forgotten_.push_back(revision_);
  if (forgotten_.size() <= kForgottenMax) return;
  complete_since_ = forgotten_.front();
  log_.erase(forgotten_.front());
  forgotten_.pop_front();
}

KeyFeed::Batch KeyFeed::Next(const std::optional<Position>& after, std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  const auto news = [&] { return loaded_ && (!after || revision_ > after->revision || version_ > after->version); };
  changed_.wait_for(lock, wait, [&] { return stopped_ || news(); });
  Batch batch;
  batch.loaded = loaded_;
  batch.stopped = stopped_;
  batch.news = news();
  batch.position = after.value_or(Position());
  if (!batch.news) return batch;
  batch.position = {revision_, version_};
  batch.behind = after && after->revision < complete_since_;
  if (batch.behind) return batch;
  for (auto it = after ? log_.upper_bound(after->revision) : log_.begin(); it != log_.end(); ++it) {
    // A watcher that starts now need not hear of keys that no longer hold.
    if (after || !it->second->revoked) batch.changes.push_back(it->second);
  }
  for (auto it = limits_.upper_bound(after ? after->revision : 0); it != limits_.end(); ++it) {
    batch.limits.push_back(it->second);
  }
  for (auto it = standings_.upper_bound(after ? after->revision : 0); it != standings_.end(); ++it) {
    if (after || it->second->standing != KeysStanding::kInForce) batch.standings.push_back(it->second);
  }
  return batch;
}

bool KeyFeed::AwaitRead(const std::string& tenant, std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, wait, [&] { return stopped_ || !aside_.contains(tenant); });
}

std::size_t KeyFeed::keys() const {
  const std::scoped_lock lock(mutex_);
  return keys_;
}

}  // namespace allod::tenancy
