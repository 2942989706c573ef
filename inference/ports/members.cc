#include "inference/ports/members.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

namespace allod::inference::ports {

std::vector<RefusedMember> Members::Set(std::vector<Member> members) {
  std::unordered_map<std::string, Member> table;
  std::vector<RefusedMember> refused;
  for (Member& member : members) {
    const char* why = nullptr;
    if (member.instance.empty()) {
      why = "has no instance name";
    } else if (member.context_tokens < 0 || member.max_concurrency < 0) {
      why = "has a negative limit";
    } else if (!std::isfinite(member.weight) || member.weight <= 0) {
      why = "has a weight that is not above zero";
    } else if (table.contains(member.instance)) {
      why = "is named twice";
    }
    std::string name = member.instance;
    if (why != nullptr) {
      refused.push_back({std::move(name), why});
    } else {
      table.emplace(std::move(name), std::move(member));
    }
  }
  const std::lock_guard lock(mutex_);
  is_open_ = false;
  members_ = std::move(table);
  return refused;
}

Result<Member> Members::Find(const std::string& instance, const std::string& tenant_uid) const {
  const std::lock_guard lock(mutex_);
  if (is_open_) return Member{instance, tenant_uid};
  const auto found = members_.find(instance);
  if (found == members_.end()) {
    return Fail(
        Code::kNotFound, "UNKNOWN_INSTANCE",
        fmt::format("this worker does not answer for '{}'; it may have been moved: ask for its route again", instance));
  }
  if (found->second.tenant_uid != tenant_uid) {
    return Fail(Code::kPermissionDenied, "WRONG_TENANT",
                fmt::format("'{}' does not belong to the tenant that the request names", instance));
  }
  return found->second;
}

}  // namespace allod::inference::ports
