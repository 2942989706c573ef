#include "services/catalog/testing/fake_store.h"

#include <algorithm>
#include <set>

namespace allod::catalog {
namespace {

// The items of an ordered map from the page's start that pass `keep`; MakePage cuts them.
template <typename Map, typename Keep, typename KeyText>
auto ItemsAfter(const Map& map, const PageRequest& page, Keep&& keep, KeyText&& key_text) {
  std::vector<typename Map::mapped_type> items;
  for (const auto& [key, value] : map) {
    if (keep(value) && key_text(value) > page.after) items.push_back(value);
  }
  return MakePage(page, std::move(items), key_text);
}

}  // namespace

Result<std::optional<std::string>> FakeStore::Recall(const RequestId& request) const {
  const auto found = requests_.find(request.id);
  if (!request.given() || found == requests_.end()) return std::nullopt;
  ALLOD_CHECK_OK(CheckSamePayload(request, found->second.payload_sha256));
  return found->second.resource;
}

void FakeStore::Remember(const RequestId& request, const std::string& resource) {
  if (request.given()) requests_.try_emplace(request.id, Request{request.payload_sha256, resource});
}

Result<Publisher> FakeStore::CreatePublisher(const Publisher& publisher, const RequestId& request) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Recall(request));
  const auto [at, inserted] = publishers_.try_emplace(publisher.id, publisher);
  if (!SameContent(at->second, publisher)) return std::unexpected(TakenByOtherContent(publisher.name()));
  Remember(request, publisher.id);
  return at->second;
}

Result<Page<Publisher>> FakeStore::ListPublishers(const PageRequest& page) {
  const std::scoped_lock lock(mutex_);
  return ItemsAfter(
      publishers_, page, [](const Publisher&) { return true; }, [](const Publisher& p) { return p.id; });
}

Result<Model> FakeStore::CreateModel(const Model& model, const RequestId& request) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Recall(request));
  if (!publishers_.contains(model.publisher)) return DoesNotExist("publishers/" + model.publisher);
  const auto [at, inserted] = models_.try_emplace(model.id, model);
  if (!SameContent(at->second, model)) return std::unexpected(TakenByOtherContent(model.name()));
  Remember(request, model.id);
  return at->second;
}

Result<Model> FakeStore::GetModel(const std::string& model) {
  const std::scoped_lock lock(mutex_);
  const auto found = models_.find(model);
  if (found == models_.end()) return DoesNotExist("models/" + model);
  return found->second;
}

Result<Page<Model>> FakeStore::ListModels(const PageRequest& page) {
  const std::scoped_lock lock(mutex_);
  return ItemsAfter(
      models_, page, [](const Model&) { return true; }, [](const Model& m) { return m.id; });
}

Result<Version> FakeStore::GetVersion(const VersionKey& key) {
  const std::scoped_lock lock(mutex_);
  const auto found = versions_.find(key);
  if (found == versions_.end()) return DoesNotExist(key.name());
  return found->second;
}

Result<Page<Version>> FakeStore::ListVersions(const std::string& model, const PageRequest& page) {
  const std::scoped_lock lock(mutex_);
  if (!models_.contains(model)) return DoesNotExist("models/" + model);
  return ItemsAfter(
      versions_, page, [&](const Version& v) { return v.key.model == model; },
      [](const Version& v) { return v.key.version; });
}

Result<Variant> FakeStore::GetVariant(const VariantKey& key) {
  const std::scoped_lock lock(mutex_);
  const auto found = variants_.find(key);
  if (found == variants_.end()) return DoesNotExist(key.name());
  return found->second;
}

Result<Page<Variant>> FakeStore::ListVariants(const VersionKey& version, const PageRequest& page) {
  const std::scoped_lock lock(mutex_);
  if (!versions_.contains(version)) return DoesNotExist(version.name());
  return ItemsAfter(
      variants_, page, [&](const Variant& v) { return v.key.version == version; },
      [](const Variant& v) { return v.key.variant; });
}

Operation FakeStore::OperationOf(const Job& job) const {
  Operation operation{job, std::nullopt, std::nullopt};
  if (job.state != JobState::kSucceeded) return operation;
  if (job.kind == JobKind::kInspect) {
    operation.version = versions_.at(job.target.version);
  } else {
    operation.variant = variants_.at(job.target);
  }
  return operation;
}

Result<Operation> FakeStore::StartJob(const Job& job, const RequestId& request, const std::optional<Error>& refusal) {
  const std::scoped_lock lock(mutex_);
  ALLOD_TRY(const auto earlier, Recall(request));
  if (earlier) {
    ALLOD_TRY(const Uuid id, Uuid::Parse(*earlier));
    return OperationOf(jobs_.at(id));
  }
  if (refusal) return std::unexpected(*refusal);
  Job wanted = job;
  if (job.kind == JobKind::kInspect) {
    if (!models_.contains(job.target.version.model)) {
      if (!job.new_model) return DoesNotExist("models/" + job.target.version.model);
      if (!publishers_.contains(job.new_model->publisher))
        return DoesNotExist("publishers/" + job.new_model->publisher);
    }
  } else {
    if (!versions_.contains(job.target.version)) return DoesNotExist(job.target.version.name());
    wanted.source_sha256 = variants_.at({job.target.version, std::string(kSourceVariant)}).artifact_sha256;
  }
  const auto current = std::ranges::find_if(jobs_, [&](const auto& entry) {
    return entry.second.target == job.target && entry.second.state != JobState::kFailed;
  });
  Job& stored = current != jobs_.end() ? current->second : jobs_[wanted.id] = wanted;
  if (!SameWork(stored, wanted)) return std::unexpected(TakenByOtherContent(job.target_name()));
  Remember(request, stored.id.ToString());
  return OperationOf(stored);
}

Result<Operation> FakeStore::GetOperation(const Uuid& id) {
  const std::scoped_lock lock(mutex_);
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return DoesNotExist("operations/" + id.ToString());
  return OperationOf(found->second);
}

Result<Page<Operation>> FakeStore::ListOperations(const PageRequest& page) {
  const std::scoped_lock lock(mutex_);
  std::vector<Operation> items;
  for (const auto& [id, job] : jobs_) {
    if (id.ToString() > page.after) items.push_back(OperationOf(job));
  }
  return MakePage(page, std::move(items), [](const Operation& o) { return o.job.id.ToString(); });
}

Result<Job> FakeStore::GetJob(const Uuid& id) {
  const std::scoped_lock lock(mutex_);
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return DoesNotExist("jobs/" + id.ToString());
  return found->second;
}

Result<Lease> FakeStore::LeaseJob(const std::string& node, std::chrono::milliseconds lease, Time now) {
  const std::scoped_lock lock(mutex_);
  Lease out;
  for (auto& [id, job] : jobs_) {
    const bool expired = job.state == JobState::kLeased && lease_ends_[id] <= clock_.Now();
    if (job.state != JobState::kQueued && !expired) continue;
    job.update_time = now;
    if (job.epoch >= kAttemptsMax) {
      job.state = JobState::kFailed;
      job.error = AttemptsExhausted(job);
      out.exhausted.push_back(job);
      continue;
    }
    job.state = JobState::kLeased;
    ++job.epoch;
    job.leased_by = node;
    job.phase.clear();
    job.progress = 0;
    lease_ends_[id] = clock_.Now() + lease;
    out.job = job;
    break;
  }
  return out;
}

Status FakeStore::ReportJob(const Uuid& id, std::int64_t epoch, const std::string& node, const std::string& phase,
                            double progress, std::chrono::milliseconds lease, Time now) {
  const std::scoped_lock lock(mutex_);
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return DoesNotExist("jobs/" + id.ToString());
  Job& job = found->second;
  if (job.state != JobState::kLeased || job.epoch != epoch || job.leased_by != node) return LeaseLost(job);
  job.phase = phase;
  job.progress = progress;
  job.update_time = now;
  lease_ends_[id] = clock_.Now() + lease;
  return {};
}

Result<Job> FakeStore::FinishJob(const Uuid& id, std::int64_t epoch, const std::string& node, const JobResult& result,
                                 Time now) {
  const std::scoped_lock lock(mutex_);
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return DoesNotExist("jobs/" + id.ToString());
  Job& job = found->second;
  if (job.state == JobState::kQueued || job.epoch != epoch || job.leased_by != node) return LeaseLost(job);
  if (job.finished()) return job;
  job.update_time = now;
  if (const auto* error = std::get_if<Error>(&result)) {
    job.state = JobState::kFailed;
    job.error = *error;
    return job;
  }
  if (const auto* inspect = std::get_if<InspectResult>(&result)) {
    if (job.new_model) models_.try_emplace(job.new_model->id, *job.new_model);
    versions_[job.target.version] = MakeVersion(job, *inspect, now);
    variants_[job.target] = MakeSourceVariant(job, *inspect, now);
  } else {
    variants_[job.target] = MakeVariant(job, std::get<CompressResult>(result), now);
  }
  job.state = JobState::kSucceeded;
  job.progress = 1;
  return job;
}

Result<bool> FakeStore::ArtifactInUse(const std::string& sha256) {
  const std::scoped_lock lock(mutex_);
  return std::ranges::any_of(versions_, [&](const auto& e) { return e.second.source_sha256 == sha256; }) ||
         std::ranges::any_of(variants_, [&](const auto& e) { return e.second.artifact_sha256 == sha256; }) ||
         std::ranges::any_of(jobs_,
                             [&](const auto& e) { return !e.second.finished() && e.second.source_sha256 == sha256; });
}

Result<Listing> FakeStore::PrepareListing(const Listing& listing, const RequestId& request) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Recall(request));
  if (!versions_.contains(listing.version)) return DoesNotExist(listing.version.name());
  std::set<std::string> variants;
  for (const auto& [key, variant] : variants_) {
    if (key.version == listing.version) variants.insert(key.variant);
  }
  ALLOD_CHECK_OK(CheckPricedVariants(listing, variants));
  const auto [at, inserted] = listings_.try_emplace(listing.id, listing);
  if (!SameContent(at->second, listing)) {
    if (at->second.state != ListingState::kPending) return std::unexpected(TakenByOtherContent(listing.name()));
    at->second = listing;
  }
  Remember(request, listing.id);
  return at->second;
}

Result<Listing> FakeStore::ActivateListing(const std::string& listing, const Uuid& price_book) {
  const std::scoped_lock lock(mutex_);
  const auto found = listings_.find(listing);
  if (found == listings_.end() || found->second.price_book != price_book) return ListingReplaced(listing);
  if (found->second.state == ListingState::kPending) found->second.state = ListingState::kActive;
  return found->second;
}

Result<Listing> FakeStore::GetListing(const std::string& listing) {
  const std::scoped_lock lock(mutex_);
  const auto found = listings_.find(listing);
  if (found == listings_.end() || found->second.state == ListingState::kPending)
    return DoesNotExist("listings/" + listing);
  return found->second;
}

Result<Page<Listing>> FakeStore::ListListings(const PageRequest& page) {
  const std::scoped_lock lock(mutex_);
  return ItemsAfter(
      listings_, page, [](const Listing& l) { return l.state != ListingState::kPending; },
      [](const Listing& l) { return l.id; });
}

}  // namespace allod::catalog
