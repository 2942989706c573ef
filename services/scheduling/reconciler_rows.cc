// Reconciler: how it comes to know the rows.

#include <optional>
#include <utility>

#include "services/common/catching.h"
#include "services/common/log.h"
#include "services/scheduling/reconciler.h"

namespace allod::scheduling {
namespace {

constexpr int kTenantsPerPage = 1000;
// A tenant that cannot be read this often does not keep the others from being served after a start. Its workers are
// then stopped, because nobody can say what they should be.
constexpr int kLoadTriesBeforeStart = 3;

}  // namespace

Status Reconciler::Prepare() {
  if (prepared_) return {};
  if (config_.prepare) ALLOD_CHECK_OK(config_.prepare());
  ALLOD_TRY(const std::vector<TenantTerms> terms, store_.ListTerms());
  for (const TenantTerms& one : terms) terms_[one.tenant] = one;
  // The first that is said of tenants is said, and written, of all that there are.
  terms_known_ = !terms.empty();
  prepared_ = true;
  return {};
}

Permit Reconciler::PermitOf(const TenantId& tenant) const {
  const auto found = terms_.find(tenant);
  return {regions_, found == terms_.end() ? nullptr : &found->second};
}

Status Reconciler::TakeRegions() {
  const RegionBoard::Seen seen = board_.Read();
  ALLOD_CHECK_OK(CheckRead(seen));
  if (seen.number == regions_number_) return {};
  regions_number_ = seen.number;
  regions_ = seen.regions->places;
  for (const auto& [tenant, known] : tenants_) pending_.insert(tenant);
  return {};
}

void Reconciler::TakeTerms() {
  const TermsInbox::Mail mail = inbox_.Take();
  mail_ = mail.number;
  const auto note = [&](const TenantId& tenant, std::optional<TenantTerms> terms) {
    unsaved_[tenant] = std::move(terms);
    if (!tenants_.contains(tenant)) return;
    pending_.insert(tenant);
    if (PermitOf(tenant).purge()) purged_.insert(tenant);
  };
  for (const auto& [tenant, terms] : mail.terms) {
    const auto known = terms_.find(tenant);
    if (known != terms_.end() && known->second == terms) continue;
    terms_[tenant] = terms;
    note(tenant, terms);
  }
  if (!mail.complete) return;
  terms_known_ = true;
  for (auto known = terms_.begin(); known != terms_.end();) {
    if (mail.terms.contains(known->first)) {
      ++known;
      continue;
    }
    note(known->first, std::nullopt);
    known = terms_.erase(known);
  }
}

Status Reconciler::SaveTerms() {
  if (unsaved_.empty()) return {};
  std::vector<TenantTerms> changed;
  std::vector<TenantId> gone;
  for (const auto& [tenant, terms] : unsaved_) {
    if (terms) {
      changed.push_back(*terms);
    } else {
      gone.push_back(tenant);
    }
  }
  ALLOD_CHECK_OK(store_.SaveTerms(changed, gone));
  unsaved_.clear();
  return {};
}

void Reconciler::IndexReplicas(const TenantState& rows) {
  for (const Instance& instance : rows.instances) {
    for (const Replica& replica : instance.replicas) owners_[replica.placement.id] = rows.tenant;
  }
}

void Reconciler::ForgetReplicas(const TenantState& rows) {
  for (const Instance& instance : rows.instances) {
    for (const Replica& replica : instance.replicas) owners_.erase(replica.placement.id);
  }
}

void Reconciler::Adopt(Known& known, TenantState rows) {
  ForgetReplicas(known.rows);
  known.rows = std::move(rows);
  IndexReplicas(known.rows);
}

Status Reconciler::LoadStale(const TenantId& tenant, const Stale& stale) {
  const auto check = [](const TenantState& state) -> Status {
    for (const Instance& instance : state.instances) ALLOD_CHECK_OK(CheckWhole(instance));
    return {};
  };
  const auto known = tenants_.find(tenant);
  if (stale.all || known == tenants_.end()) {
    ALLOD_TRY(TenantState state, store_.LoadTenant(tenant));
    ALLOD_CHECK_OK(check(state));
    Adopt(tenants_[tenant], std::move(state));
    if (PermitOf(tenant).purge()) purged_.insert(tenant);
    return {};
  }
  for (const std::string& name : stale.instances) {
    ALLOD_TRY(TenantState part, store_.LoadInstance(tenant, name));
    ALLOD_CHECK_OK(check(part));
    TenantState rows = known->second.rows;
    // Others may have changed what was not read now; the next look for changes says so.
    if (part.version != rows.version) rows.version = 0;
    Replace(rows, name, std::move(part));
    Adopt(known->second, std::move(rows));
  }
  return {};
}

Status Reconciler::LookForChanges(Time now) {
  if (looked_ && now < next_look_) return {};
  std::string mark;
  std::optional<TenantId> after;
  while (true) {
    ALLOD_TRY(const TenantChanges changes, store_.ListChanged(mark_, after, kTenantsPerPage));
    if (!after) mark = changes.mark;
    for (const TenantVersion& change : changes.tenants) {
      const auto known = tenants_.find(change.tenant);
      if (known == tenants_.end() || known->second.rows.version != change.version) stale_[change.tenant].all = true;
    }
    if (std::ssize(changes.tenants) < kTenantsPerPage) break;
    after = changes.tenants.back().tenant;
  }
  mark_ = mark;
  looked_ = true;
  next_look_ = now + config_.look_every;
  return {};
}

Status Reconciler::Load() {
  ALLOD_CHECK_OK(Prepare());
  ALLOD_CHECK_OK(TakeRegions());
  TakeTerms();
  ALLOD_CHECK_OK(SaveTerms());
  std::map<TenantId, Stale> dirty;
  {
    const std::lock_guard lock(dirty_mutex_);
    dirty.swap(dirty_);
  }
  for (auto& [tenant, stale] : dirty) {
    Stale& all = stale_[tenant];
    all.all = all.all || stale.all;
    all.instances.merge(stale.instances);
  }
  const Time now = clock_.Now();
  ALLOD_CHECK_OK(LookForChanges(now));
  bool complete = true;
  for (auto it = stale_.begin(); it != stale_.end();) {
    const auto& [tenant, stale] = *it;
    if (!set_aside_.Waits(tenant, Stage::kLoad, now)) {
      const Status loaded = Catching("load a tenant", [&] { return LoadStale(tenant, stale); });
      if (loaded) {
        set_aside_.Succeed(tenant, Stage::kLoad);
        pending_.insert(tenant);
        it = stale_.erase(it);
        continue;
      }
      // A database that is away is everyone's trouble.
      if (ConcernsEverybody(loaded.error())) return loaded;
      NoteTrouble(tenant, Stage::kLoad, loaded.error());
    }
    complete = complete && set_aside_.Failures(tenant, Stage::kLoad) >= kLoadTriesBeforeStart;
    ++it;
  }
  if (complete && terms_known_ && !loaded_) {
    loaded_ = true;
    rerouted_ = true;  // the first table is told even if it is empty
  }
  return {};
}

}  // namespace allod::scheduling
