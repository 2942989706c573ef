#include "services/scheduling/audit_acts.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace allod::scheduling {
namespace {

std::vector<audit::Detail> DetailsOf(const Revision& revision) {
  const InstanceSpec& spec = revision.spec;
  return {{"generation", std::to_string(revision.generation)},
          {"listing", spec.listing},
          {"variant", spec.variant},
          {"region", spec.region},
          {"isolation_class", NameOf(spec.isolation_class)},
          {"replicas", std::to_string(spec.replicas)},
          {"context_tokens", std::to_string(spec.context_tokens)},
          {"max_concurrency", std::to_string(spec.max_concurrency)},
          {"sleep_after_seconds", std::to_string(spec.sleep_after_seconds)},
          {"price_book", revision.price_book}};
}

}  // namespace

audit::Act CreationOf(const std::string& instance, const Revision& revision) {
  return {.action = "scheduling.instances.create", .resource = instance, .details = DetailsOf(revision)};
}

audit::Act ChangeOf(const std::string& instance, const Revision& before, const Revision& now) {
  std::vector<audit::Detail> changed = DetailsOf(now);
  const std::vector<audit::Detail> old = DetailsOf(before);
  std::erase_if(changed, [&](const audit::Detail& detail) { return std::ranges::find(old, detail) != old.end(); });
  return {.action = "scheduling.instances.update", .resource = instance, .details = std::move(changed)};
}

audit::Act DeletionOf(const std::string& instance) {
  return {.action = "scheduling.instances.delete", .resource = instance};
}

}  // namespace allod::scheduling
