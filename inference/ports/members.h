// The instances that a worker answers for. Thread-safe.
//
// An isolated worker has one member, a pooled one several, and the table changes while it runs. Before the first Set
// every request is accepted: tools and tests that own the engine need no table.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "services/common/result.h"

namespace allod::inference::ports {

struct Member {
  std::string instance;
  std::string tenant_uid;
  std::int32_t context_tokens = 0;   // prompt and answer together; 0: the engine's
  std::int32_t max_concurrency = 0;  // generations (choices) that run at once; 0: the engine's
  double weight = 1;                 // its tenant's share of the compute, relative to the other tenants'

  bool operator==(const Member&) const = default;
};

// One that is not answered for, and why.
struct RefusedMember {
  std::string instance;
  std::string why;
  bool operator==(const RefusedMember&) const = default;
};

class Members {
 public:
  // Replaces the table by these, but for those that make no sense (an empty or repeated instance, a negative number, no
  // weight): they are refused, each by itself.
  std::vector<RefusedMember> Set(std::vector<Member> members);
  // The member that a request is for. NOT_FOUND / UNKNOWN_INSTANCE for one that is none; PERMISSION_DENIED /
  // WRONG_TENANT when the tenant is not the member's.
  Result<Member> Find(const std::string& instance, const std::string& tenant_uid) const;

 private:
  mutable std::mutex mutex_;
  bool is_open_ = true;
  std::unordered_map<std::string, Member> members_;
};

}  // namespace allod::inference::ports
