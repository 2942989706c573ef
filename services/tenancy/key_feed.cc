#include "services/tenancy/key_feed.h"

#include <set>
#include <utility>

#include "services/common/log.h"

namespace allod::tenancy {
namespace {

// A change made by another process is to reach gateways within a second.
constexpr std::chrono::milliseconds kRefreshInterval{750};

}  // namespace

void KeyFeed::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void KeyFeed::Stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void KeyFeed::Notify() {
  {
    const std::scoped_lock lock(mutex_);
    notified_ = true;
  }
  changed_.notify_all();
}

void KeyFeed::Loop() {
  bool was_ok = true;
  for (;;) {
    const Status status = Refresh();
    // Said once per outage, not once a second.
    if (!status && was_ok) Log(LogLevel::kWarning, "cannot read API keys", {{"error", status.error().message}});
    was_ok = status.has_value();
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kRefreshInterval, [&] { return stopped_ || notified_; });
    notified_ = false;
    if (stopped_) return;
  }
}

Status KeyFeed::Refresh() {
  const std::scoped_lock refreshing(refresh_mutex_);
  ALLOD_TRY(const auto versions, store_.KeysVersions());
  for (const TenantKeysVersion& version : versions) {
    const auto seen = seen_.find(version.tenant);
    if (seen != seen_.end() && seen->second == version) continue;
    // Keys read after the version may be newer than it; then the next refresh reads them once more.
    std::vector<ApiKey> keys;
    if (version.active) {
      ALLOD_TRY(keys, store_.ValidKeys(version.tenant));
    }
    Apply(version, keys);
    seen_[version.tenant] = version;
  }
  {
    const std::scoped_lock lock(mutex_);
    loaded_ = true;
  }
  changed_.notify_all();
  return {};
}

void KeyFeed::Apply(const TenantKeysVersion& version, const std::vector<ApiKey>& keys) {
  const std::scoped_lock lock(mutex_);
  std::set<std::string> valid;
  for (const ApiKey& key : keys) {
    valid.insert(key.kid);
    Entry& entry = entries_[key.kid];
    // A key never changes except by being revoked, or by its tenant's suspension, which may end.
    if (entry.revision == 0 || entry.change.revoked) entry = {{key, version.currency_code, false}, ++revision_};
  }
  for (auto& [kid, entry] : entries_) {
    if (entry.change.key.tenant != version.tenant || entry.change.revoked || valid.contains(kid)) continue;
    ApiKey name_only;
    name_only.tenant = entry.change.key.tenant;
    name_only.project = entry.change.key.project;
    name_only.kid = kid;
    entry = {{std::move(name_only), "", true}, ++revision_};
  }
}

KeyFeed::Batch KeyFeed::Next(std::optional<std::uint64_t> after, std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, wait, [&] { return stopped_ || (loaded_ && (!after || revision_ > *after)); });
  Batch batch{{}, after.value_or(0), loaded_, stopped_};
  if (!loaded_) return batch;
  batch.revision = revision_;
  if (after == revision_) return batch;
  for (const auto& [kid, entry] : entries_) {
    // A watcher that starts now need not hear of keys that no longer hold.
    const bool news = after ? entry.revision > *after : !entry.change.revoked;
    if (news) batch.changes.push_back(entry.change);
  }
  return batch;
}

}  // namespace allod::tenancy
