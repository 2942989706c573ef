#include "gateway/federation/claim_match.h"

#include <algorithm>

#include "services/common/digest.h"

namespace allod::gateway::federation {
namespace {

using From = tenancy::v1::ClaimMatch;

constexpr std::size_t kGroundsHexDigits = 16;

bool Has(const ClaimMatch& match, const jose::Claims& claims) {
  if (match.claim.empty()) return false;
  if (match.claim == "email" && !claims.IsTrue("email_verified")) return false;
  if (match.kind == ClaimMatch::Kind::kContains) return claims.Lists(match.claim, match.value);
  const auto text = claims.Text(match.claim);
  if (!text) return false;
  return match.kind == ClaimMatch::Kind::kPrefix ? text->starts_with(match.value) : *text == match.value;
}

ClaimMatch MatchOf(const From& from) {
  switch (from.match_case()) {
    case From::kEquals:
      return {from.claim(), from.equals(), ClaimMatch::Kind::kEquals};
    case From::kPrefix:
      return {from.claim(), from.prefix(), ClaimMatch::Kind::kPrefix};
    case From::kContains:
      return {from.claim(), from.contains(), ClaimMatch::Kind::kContains};
    case From::MATCH_NOT_SET:
      break;
  }
  return {};
}

}  // namespace

std::vector<ClaimMatch> ClaimMatchesOf(const google::protobuf::RepeatedPtrField<From>& from) {
  std::vector<ClaimMatch> out;
  for (const From& match : from) out.push_back(MatchOf(match));
  return out;
}

bool HasAll(const std::vector<ClaimMatch>& matches, const jose::Claims& claims) {
  return !matches.empty() && std::ranges::all_of(matches, [&](const ClaimMatch& match) { return Has(match, claims); });
}

std::string GroundsOf(std::string_view uid, const google::protobuf::RepeatedPtrField<From>& claims) {
  std::string asked;
  for (const From& match : claims) asked += match.SerializeAsString() + '\n';
  return std::string(uid) + ":" + Sha256Hex(asked).substr(0, kGroundsHexDigits);
}

}  // namespace allod::gateway::federation
