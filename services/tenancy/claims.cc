#include "services/tenancy/claims.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "services/common/text_check.h"

namespace allod::tenancy {
namespace {

constexpr std::size_t kClaimsMax = 8;
// So that all of a tenant's fits into a message to gateways.
constexpr std::size_t kClaimNameBytesMax = 128;
constexpr std::size_t kClaimValueBytesMax = 256;

// Claims that say nothing of whose token it is, because every token has them or they are checked anyway.
constexpr std::array<std::string_view, 6> kNoSubjects = {"iss", "aud", "exp", "nbf", "iat", "jti"};
// Claims that are of one person as a whole.
constexpr std::array<std::string_view, 2> kOfOnePerson = {"sub", "email"};

// Issuers whose tokens anybody in the world can have.
struct PublicIssuer {
  std::string_view issuer;
  // The claims that say whose workload it is, and those that say who of the world's people, or of which organisation.
  std::vector<std::string_view> workloads;
  std::vector<std::string_view> people{"sub", "email"};
  // With what a "sub" that names a workload's owner begins, e.g. "repo:owner/name:..."; customised, it may name none.
  std::string_view subject = "";
};
const std::vector<PublicIssuer>& PublicIssuers() {
  static const std::vector<PublicIssuer> issuers = {
      {.issuer = "https://token.actions.githubusercontent.com",
       .workloads = {"repository", "repository_id", "repository_owner", "repository_owner_id", "sub", "enterprise_id"},
       .subject = "repo:"},
      {.issuer = "https://gitlab.com",
       .workloads = {"project_path", "project_id", "namespace_path", "namespace_id", "sub"},
       .people = {"sub", "email", "groups_direct"},
       .subject = "project_path:"},
      {.issuer = "https://accounts.google.com", .workloads = {"sub", "email"}, .people = {"sub", "email", "hd"}},
      {.issuer = "https://app.terraform.io",
       .workloads = {"terraform_organization_id", "terraform_organization_name", "sub"},
       .subject = "organization:"},
      // Every organisation's and everybody's accounts; an organisation's own issuer has its id in the place of
      // "common".
      {.issuer = "https://login.microsoftonline.com/common/v2.0", .workloads = {"sub"}, .people = {"sub", "oid"}},
      {.issuer = "https://login.microsoftonline.com/organizations/v2.0",
       .workloads = {"sub"},
       .people = {"sub", "oid"}},
      {.issuer = "https://login.microsoftonline.com/consumers/v2.0", .workloads = {"sub"}, .people = {"sub", "oid"}},
      {.issuer = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
       .workloads = {"sub"},
       .people = {"sub", "oid", "email"}},
      {.issuer = "https://appleid.apple.com", .workloads = {"sub"}},
      {.issuer = "https://www.facebook.com", .workloads = {"sub"}},
      {.issuer = "https://www.linkedin.com/oauth", .workloads = {"sub"}},
      {.issuer = "https://slack.com", .workloads = {"sub"}},
      {.issuer = "https://id.twitch.tv/oauth2", .workloads = {"sub"}},
  };
  return issuers;
}

const PublicIssuer* FindPublicIssuer(std::string_view issuer) {
  const auto found = std::ranges::find(PublicIssuers(), issuer, &PublicIssuer::issuer);
  return found == PublicIssuers().end() ? nullptr : &*found;
}

std::unexpected<Error> BadClaim(std::string_view field, std::size_t i, std::string_view why) {
  return InvalidArgument("INVALID_CLAIM", fmt::format("{}[{}]: {}", field, i, why));
}

Status CheckBytes(const std::string& field, std::string_view text, std::size_t bytes_max) {
  ALLOD_CHECK_OK(CheckText(field, text, 1, bytes_max));
  if (text.size() <= bytes_max) return {};
  return InvalidArgument("INVALID_TEXT", fmt::format("{}: is longer than {} bytes", field, bytes_max));
}

// Whether the match says which of an issuer's owners it is: all of a claim, or a beginning that ends in "owner/".
bool NamesAnOwner(const ClaimMatch& match, const PublicIssuer& issuer) {
  if (match.comparison == ClaimComparison::kContains) return false;
  if (std::ranges::find(issuer.workloads, match.claim) == issuer.workloads.end()) return false;
  const bool is_prefix = match.comparison == ClaimComparison::kPrefix;
  if (match.claim == "sub" && !issuer.subject.empty()) {
    if (!match.value.starts_with(issuer.subject)) return false;
    const std::string_view owner = std::string_view(match.value).substr(issuer.subject.size());
    const std::size_t end = owner.find_first_of("/:");
    return end != 0 && !owner.empty() && (!is_prefix || end != std::string_view::npos);
  }
  return !is_prefix || match.value.find('/') != std::string::npos;
}

}  // namespace

std::string_view WordOf(ClaimComparison comparison) {
  switch (comparison) {
    case ClaimComparison::kEquals:
      return "equals";
    case ClaimComparison::kPrefix:
      return "prefix";
    case ClaimComparison::kContains:
      return "contains";
  }
  return "";
}

std::string ToText(const ClaimMatch& match) {
  if (match.comparison == ClaimComparison::kContains) return fmt::format("{} has {}", match.claim, match.value);
  return fmt::format("{}={}{}", match.claim, match.value, match.comparison == ClaimComparison::kPrefix ? "*" : "");
}

Status CheckClaims(std::string_view field, const std::vector<ClaimMatch>& claims) {
  if (claims.size() > kClaimsMax) {
    return InvalidArgument("INVALID_CLAIM", fmt::format("{}: at most {}", field, kClaimsMax));
  }
  // A list may have to contain several.
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (std::size_t i = 0; i < claims.size(); ++i) {
    const ClaimMatch& match = claims[i];
    ALLOD_CHECK_OK(CheckBytes(fmt::format("{}[{}].claim", field, i), match.claim, kClaimNameBytesMax));
    ALLOD_CHECK_OK(
        CheckBytes(fmt::format("{}[{}].{}", field, i, WordOf(match.comparison)), match.value, kClaimValueBytesMax));
    if (std::ranges::find(kNoSubjects, match.claim) != kNoSubjects.end()) {
      return BadClaim(field, i,
                      fmt::format("\"{}\" says nothing of whose token it is and is checked anyway", match.claim));
    }
    const bool is_list = match.comparison == ClaimComparison::kContains;
    if (!seen.insert({match.claim, is_list ? std::string_view(match.value) : ""}).second) {
      return BadClaim(field, i, fmt::format("\"{}\" stands there twice", match.claim));
    }
  }
  return {};
}

Status CheckNamesWorkloads(std::string_view field, const std::vector<ClaimMatch>& claims, std::string_view issuer) {
  if (claims.empty()) {
    return InvalidArgument("RULE_TOO_WIDE",
                           fmt::format("{}: without any, every workload of the issuer would match; say at least what "
                                       "\"sub\" must be",
                                       field));
  }
  const PublicIssuer* known = FindPublicIssuer(issuer);
  if (known == nullptr) return {};
  if (std::ranges::any_of(claims, [&](const ClaimMatch& match) { return NamesAnOwner(match, *known); })) return {};
  return InvalidArgument(
      "RULE_TOO_WIDE",
      fmt::format("{}: {} serves everybody, and nothing here says whose workload it is; add one of {} that is all of "
                  "the claim, or a beginning up to a \"/\"",
                  field, issuer, fmt::join(known->workloads, ", ")));
}

Status CheckNamesPeople(std::string_view field, const std::vector<ClaimMatch>& claims, std::string_view issuer) {
  if (claims.empty()) {
    return InvalidArgument("MEMBER_TOO_WIDE",
                           fmt::format("{}: without any, everybody with an account of the issuer would match; say what "
                                       "\"sub\" or \"email\" is, or what \"groups\" contains",
                                       field));
  }
  for (std::size_t i = 0; i < claims.size(); ++i) {
    if (claims[i].comparison == ClaimComparison::kEquals) continue;
    if (std::ranges::find(kOfOnePerson, claims[i].claim) == kOfOnePerson.end()) continue;
    return BadClaim(field, i,
                    fmt::format("\"{}\" is of one person, and a part of it would be of strangers too; use \"equals\"",
                                claims[i].claim));
  }
  const PublicIssuer* known = FindPublicIssuer(issuer);
  if (known == nullptr) return {};
  const auto names_people = [&](const ClaimMatch& match) {
    return match.comparison != ClaimComparison::kPrefix &&
           std::ranges::find(known->people, match.claim) != known->people.end();
  };
  if (std::ranges::any_of(claims, names_people)) return {};
  return InvalidArgument("MEMBER_TOO_WIDE",
                         fmt::format("{}: everybody in the world can have an account of {}, and nothing here says who; "
                                     "add one of {}",
                                     field, issuer, fmt::join(known->people, ", ")));
}

}  // namespace allod::tenancy
