#include "services/tenancy/tenant_feed.h"

#include <algorithm>

namespace allod::tenancy {
namespace {

// A change made by another process is to reach watchers within a second.
constexpr std::chrono::milliseconds kTenantsInterval{750};
// Of one question to the store.
constexpr int kTenantsPerRead = 500;

}  // namespace

TenantFeed::TenantFeed(Store& store)
    : store_(store), loop_("tenants", kTenantsInterval, [this] { return Refresh(); }) {}

void TenantFeed::Stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  loop_.Stop();
}

Status TenantFeed::Refresh() {
  const std::scoped_lock refreshing(refresh_mutex_);
  TenantChanges page;
  do {
    std::int64_t after = 0;
    {
      const std::scoped_lock lock(mutex_);
      after = version_;
    }
    ALLOD_TRY(page, store_.TenantsChanged(after, kTenantsPerRead));
    const std::scoped_lock lock(mutex_);
    for (Tenant& tenant : page.tenants) {
      std::int64_t& version = versions_[tenant.id];
      tenants_.erase(version);
      version = tenant.version;
      tenants_[version] = std::make_shared<const Tenant>(std::move(tenant));
    }
    version_ = std::max(version_, page.version);
  } while (page.more);
  {
    const std::scoped_lock lock(mutex_);
    loaded_ = true;
  }
  changed_.notify_all();
  return {};
}

TenantFeed::Batch TenantFeed::Next(std::optional<std::int64_t> after, std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  const auto news = [&] { return loaded_ && (!after || version_ > *after); };
  changed_.wait_for(lock, wait, [&] { return stopped_ || news(); });
  Batch batch{{}, after.value_or(0), news(), stopped_};
  if (!batch.news) return batch;
  batch.version = version_;
  for (auto it = tenants_.upper_bound(after.value_or(0)); it != tenants_.end(); ++it) {
    batch.tenants.push_back(it->second);
  }
  return batch;
}

}  // namespace allod::tenancy
