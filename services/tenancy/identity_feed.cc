#include "services/tenancy/identity_feed.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "services/common/catching.h"

namespace allod::tenancy {
namespace {

// A change made by another process is to reach gateways within a second.
constexpr std::chrono::milliseconds kIdentityRefreshInterval{750};
// Of one question to the store.
constexpr int kIdentityTenantsPerPage = 500;
// A tenant that cannot be read this often does not keep the others from being served after a start.
constexpr int kIdentityTriesBeforeStart = 3;
constexpr std::string_view kIdentityStage = "identity";

TenantId UidOf(const TenantIdentityVersion& version) { return {Uuid::FromName("tenants/" + version.tenant)}; }

}  // namespace

IdentityFeed::IdentityFeed(IdentityStore& store, const Clock& clock)
    : store_(store), clock_(clock), loop_("identities", kIdentityRefreshInterval, [this] { return Refresh(); }) {}

void IdentityFeed::Stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  loop_.Stop();
}

Status IdentityFeed::Refresh() {
  const std::scoped_lock refreshing(refresh_mutex_);
  std::vector<TenantIdentityVersion> page;
  do {
    std::int64_t after = 0;
    {
      const std::scoped_lock lock(mutex_);
      after = version_;
    }
    ALLOD_TRY(page, store_.IdentityVersions(after, kIdentityTenantsPerPage));
    for (const TenantIdentityVersion& version : page) ALLOD_CHECK_OK(RefreshTenantOrSetAside(version));
  } while (page.size() == kIdentityTenantsPerPage);
  std::map<std::string, TenantIdentityVersion> again;
  {
    const std::scoped_lock lock(mutex_);
    again = aside_;
  }
  bool complete = true;
  for (const auto& [tenant, version] : again) {
    if (!set_aside_.Waits(UidOf(version), kIdentityStage, clock_.Now())) {
      ALLOD_CHECK_OK(RefreshTenantOrSetAside(version));
    }
    const int failures = set_aside_.Failures(UidOf(version), kIdentityStage);
    complete = complete && (failures == 0 || failures >= kIdentityTriesBeforeStart);
  }
  {
    const std::scoped_lock lock(mutex_);
    loaded_ = loaded_ || complete;
  }
  changed_.notify_all();
  return {};
}

Status IdentityFeed::RefreshTenantOrSetAside(const TenantIdentityVersion& version) {
  const Time now = clock_.Now();
  if (!set_aside_.Waits(UidOf(version), kIdentityStage, now) || !version.active) {
    const Status read = Catching("read a tenant's identities", [&] { return RefreshTenant(version); });
    if (read) {
      set_aside_.Succeed(UidOf(version), kIdentityStage);
      return {};
    }
    if (ConcernsEverybody(read.error())) return read;
    set_aside_.Fail(UidOf(version), kIdentityStage, read.error(), now, "tenants/" + version.tenant);
  }
  const std::scoped_lock lock(mutex_);
  aside_[version.tenant] = version;
  version_ = std::max(version_, version.version);
  return {};
}

Status IdentityFeed::RefreshTenant(const TenantIdentityVersion& version) {
  // What is read after the version may be newer than it; then the next refresh reads it once more.
  KnownIdentity known{version, {}};
  if (version.active) {
    ALLOD_TRY(known.identity, store_.ReadIdentity(version.tenant, clock_.Now()));
  }
  const std::scoped_lock lock(mutex_);
  Entry& entry = tenants_[version.tenant];
  by_revision_.erase(entry.revision);
  entry = {std::make_shared<const KnownIdentity>(std::move(known)), ++revision_};
  by_revision_[entry.revision] = version.tenant;
  aside_.erase(version.tenant);
  version_ = std::max(version_, version.version);
  return {};
}

IdentityFeed::Batch IdentityFeed::Next(const std::optional<Position>& after, std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  const auto news = [&] { return loaded_ && (!after || revision_ > after->revision || version_ > after->version); };
  changed_.wait_for(lock, wait, [&] { return stopped_ || news(); });
  Batch batch;
  batch.stopped = stopped_;
  batch.news = news();
  batch.position = after.value_or(Position());
  if (!batch.news) return batch;
  batch.position = {revision_, version_};
  for (auto it = after ? by_revision_.upper_bound(after->revision) : by_revision_.begin(); it != by_revision_.end();
       ++it) {
    batch.tenants.push_back(tenants_.at(it->second).known);
  }
  return batch;
}

bool IdentityFeed::AwaitRead(const std::string& tenant, std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, wait, [&] { return stopped_ || !aside_.contains(tenant); });
}

}  // namespace allod::tenancy
