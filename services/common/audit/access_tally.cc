#include "services/common/audit/access_tally.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <prometheus/counter.h>

#include <algorithm>
#include <utility>

#include "services/common/ids.h"
#include "services/common/metrics.h"

namespace allod::audit {
namespace {

constexpr std::size_t kSafeNameBytesMax = 320;  // tenants/.../projects/.../instances/... with three ids of 63
constexpr char kMalformed[] = "(no name)";

// `tenants/ke/projects/p` or `tenants/ke` of a name below it; other names are as they are.
std::string PlaceOf(const std::string& name) {
  const std::string project = ProjectIdOf(name);
  const std::string tenant = TenantOf(name);
  if (tenant.empty()) return name;
  return project.empty() ? tenant : fmt::format("{}/projects/{}", tenant, project);
}

void CountDropped(std::int64_t count) {
  static prometheus::Counter& counter = prometheus::BuildCounter()
                                            .Name("allod_audit_accesses_dropped_total")
                                            .Help("Refusals and operators' reads that are in no audit log one by one")
                                            .Register(Metrics())
                                            .Add({});
  counter.Increment(static_cast<double>(count));
}

}  // namespace

std::string SafeName(std::string_view name) {
  const bool is_safe = name.size() <= kSafeNameBytesMax && std::ranges::all_of(name, [](char c) {
                         return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                                c == '/' || c == '.' || c == '_' || c == '-';
                       });
  return is_safe ? std::string(name) : kMalformed;
}

AccessTally::Key AccessTally::KeyOf(const Access& access) {
  return {access.actor.kind, access.actor.id, access.actor.credential, access.action, PlaceOf(access.resource),
          access.outcome,    access.reason};
}

void AccessTally::Drop(const std::string& tenant, std::int64_t count) {
  CountDropped(count);
  const auto found = tenants_.find(tenant);
  if (found != tenants_.end()) found->second.dropped += count;
}

void AccessTally::Note(Access access, Time now) {
  access.resource = SafeName(access.resource);
  const Key key = KeyOf(access);
  const auto tenant = tenants_.find(access.tenant);
  if (tenant != tenants_.end()) {
    const auto found = tenant->second.places.find(key);
    if (found != tenant->second.places.end()) {
      Due& due = found->second.due;
      if (due.count == 0) due = {std::move(access), 0, now, 0};
      ++due.count;
      return;
    }
    const auto& places = tenant->second.places;
    const int max = access.actor.kind == "operator" ? kPerTenantMax : kPerTenantMax - kForOperators;
    const auto of_actor = std::ranges::count_if(places, [&](const auto& place) {
      return std::get<0>(place.first) == std::get<0>(key) && std::get<1>(place.first) == std::get<1>(key);
    });
    if (of_actor >= kPerActorMax || std::cmp_greater_equal(places.size(), max)) return Drop(access.tenant, 1);
  }
  if (places_ >= kPlacesMax) return Drop(access.tenant, 1);
  auto& places = tenants_[access.tenant].places;
  ++places_;
  places.emplace(key, Place{{std::move(access), 1, now, 0}, now});
}

std::map<std::string, std::vector<AccessTally::Due>> AccessTally::TakeDue(Time now, bool all) {
  std::map<std::string, std::vector<Due>> out;
  for (auto at = tenants_.begin(); at != tenants_.end();) {
    auto& [name, tenant] = *at;
    std::vector<Due> due;
    for (auto place = tenant.places.begin(); place != tenant.places.end();) {
      if (now < place->second.next_write && !all) {
        ++place;
        continue;
      }
      if (place->second.due.count == 0) {  // a whole window without any
        place = tenant.places.erase(place);
        --places_;
        continue;
      }
      due.push_back(std::exchange(place->second.due, {}));
      place->second.next_write = now + kWindow;
      ++place;
    }
    if (tenant.dropped > 0 && due.empty() && tenant.places.empty()) {
      Access dropped{
          .tenant = name, .actor = {}, .action = "audit.accesses.drop", .resource = name, .reason = "", .trace_id = ""};
      due.push_back({std::move(dropped), 0, now, 0});
    }
    if (!due.empty()) {
      due.front().dropped = std::exchange(tenant.dropped, 0);
      out.emplace(name, std::move(due));
    }
    at = tenant.places.empty() ? tenants_.erase(at) : std::next(at);
  }
  return out;
}

void AccessTally::GiveBack(std::vector<Due> due, Time retry) {
  for (Due& one : due) {
    const std::string name = one.first.tenant;
    auto found = tenants_.find(name);
    if (found == tenants_.end() && (places_ >= kPlacesMax)) {
      CountDropped(one.count);
      continue;
    }
    Tenant& tenant = tenants_[name];
    tenant.dropped += one.dropped;
    const Key key = KeyOf(one.first);
    const auto [at, is_new] = tenant.places.try_emplace(key);
    if (is_new) ++places_;  // it was in the tally before
    Place& place = at->second;
    one.count += place.due.count;
    one.dropped = 0;
    place.due = std::move(one);
    place.next_write = retry;
  }
}

Entry EntryOf(const AccessTally::Due& due) {
  Entry out;
  out.actor = due.first.actor;
  out.action = due.first.action;
  out.resource = PlaceOf(due.first.resource);
  out.outcome = due.first.outcome;
  out.reason = due.first.reason;
  out.trace_id = due.first.trace_id;
  out.details = due.first.details;
  if (out.resource != due.first.resource) out.details.push_back({"first_resource", due.first.resource});
  if (due.count > 1) {
    out.details.push_back({"count", std::to_string(due.count)});
    out.details.push_back({"since", fmt::format("{:%FT%TZ}", std::chrono::floor<std::chrono::seconds>(due.since))});
  }
  if (due.dropped > 0) out.details.push_back({"dropped", std::to_string(due.dropped)});
  return out;
}

}  // namespace allod::audit
