// What a workload rule and a member ask of a token's claims. Pure.
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <string>
#include <string_view>
#include <vector>

#include "allod/tenancy/v1/identity_provider.pb.h"
#include "services/common/jose/token.h"

namespace allod::gateway::federation {

struct ClaimMatch {
  enum class Kind { kEquals, kPrefix, kContains };
  std::string claim;  // empty: a match that is not understood; no token has it
  std::string value;
  Kind kind = Kind::kEquals;
};

std::vector<ClaimMatch> ClaimMatchesOf(const google::protobuf::RepeatedPtrField<tenancy::v1::ClaimMatch>& from);

// Whether the token has all of them; none is had by nobody. An `email` counts only when its issuer says that it was
// verified.
bool HasAll(const std::vector<ClaimMatch>& matches, const jose::Claims& claims);

// Which thing of its name it is (`uid`), and what it asks: what was granted by it holds for the same only.
std::string GroundsOf(std::string_view uid, const google::protobuf::RepeatedPtrField<tenancy::v1::ClaimMatch>& claims);

}  // namespace allod::gateway::federation
