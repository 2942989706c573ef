// What a claim of an identity provider's token must be, for a rule or a member to hold, and which such claims tell whom
// they are of. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "services/common/result.h"

namespace allod::tenancy {

enum class ClaimComparison {
  kEquals,    // the claim is the value
  kPrefix,    // the claim begins with it
  kContains,  // the claim is a list, and the value is in it
};

struct ClaimMatch {
  std::string claim;
  std::string value;
  ClaimComparison comparison = ClaimComparison::kEquals;

  bool operator==(const ClaimMatch&) const = default;
};

// "equals", "prefix", "contains".
std::string_view WordOf(ClaimComparison comparison);
// "ref=refs/heads/main", "sub=repo:ke/*", "groups has ops": for people.
std::string ToText(const ClaimMatch& match);

// `field` is that of the claims, e.g. "workload_rule.claims". INVALID_ARGUMENT / INVALID_CLAIM, INVALID_TEXT.
Status CheckClaims(std::string_view field, const std::vector<ClaimMatch>& claims);
// That no strangers' workloads of the issuer match. INVALID_ARGUMENT / RULE_TOO_WIDE.
Status CheckNamesWorkloads(std::string_view field, const std::vector<ClaimMatch>& claims, std::string_view issuer);
// That no strangers who have an account of the issuer match. INVALID_ARGUMENT / MEMBER_TOO_WIDE, and INVALID_CLAIM for
// what says a person by halves.
Status CheckNamesPeople(std::string_view field, const std::vector<ClaimMatch>& claims, std::string_view issuer);

}  // namespace allod::tenancy
