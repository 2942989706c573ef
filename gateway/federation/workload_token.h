// The tokens that workloads get: opaque to them, self-contained (sealed_json.h), and good for minutes. Whether what
// they stand for still holds is WorkloadTokens' to say. Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/federation/sealed_json.h"
#include "services/common/clock.h"
#include "services/common/ids.h"
#include "services/common/result.h"
#include "services/common/roles.h"

namespace allod::gateway::federation {

inline constexpr char kWorkloadTokenPrefix[] = "ald1_";

struct WorkloadToken {
  Uuid id;
  std::string rule;      // `tenants/{tenant}/projects/{project}/workloadRules/{rule}`
  std::string grounds;   // Rule::grounds of the rule that granted it
  std::string provider;  // `tenants/{tenant}/identityProviders/{provider}`
  std::string subject;   // `sub` of the token that was shown
  bool inference = false;
  bool portal = false;
  Roles roles;      // of the platform
  Time issue_time;  // seconds, as is the next
  Time expire_time;
  std::vector<std::string> custom_roles = {};  // beside `roles`, ids of the tenant's own
};

class WorkloadTokenSealer {
 public:
  explicit WorkloadTokenSealer(std::string_view pepper);

  std::string Seal(const WorkloadToken& token) const;
  // UNAUTHENTICATED / INVALID_TOKEN for what was not sealed here, TOKEN_EXPIRED; nothing of it is read before its seal
  // was found to be right.
  Result<WorkloadToken> Open(std::string_view text, Time now) const;

 private:
  const SealedJson seal_;
};

}  // namespace allod::gateway::federation
