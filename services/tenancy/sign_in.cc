#include "services/tenancy/sign_in.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace allod::tenancy {
namespace {

constexpr std::size_t kClientIdCharsMax = 256;
constexpr std::size_t kClientSecretCharsMax = 512;
constexpr std::size_t kSignInScopesMax = 8;
constexpr std::size_t kSignInScopeCharsMax = 128;

std::unexpected<Error> BadSignIn(std::string_view field, std::string_view why) {
  return InvalidArgument("INVALID_SIGN_IN", fmt::format("identity_provider.sign_in.{}: {}", field, why));
}

// VSCHAR of RFC 6749, appendix A.
bool IsPrintable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c <= 0x7e; });
}

// NQCHAR of RFC 6749, appendix A.
bool IsScope(std::string_view text) {
  return !text.empty() && text.size() <= kSignInScopeCharsMax &&
         std::ranges::all_of(text, [](char c) { return c >= 0x21 && c <= 0x7e && c != '"' && c != '\\'; });
}

}  // namespace

Result<SignIn> ValidSignIn(SignIn sign_in) {
  if (sign_in.client_id.empty() || sign_in.client_id.size() > kClientIdCharsMax || !IsPrintable(sign_in.client_id)) {
    return BadSignIn("client_id", fmt::format("what the issuer knows this installation as has 1 to {} printable ASCII "
                                              "characters; register it there as a client",
                                              kClientIdCharsMax));
  }
  if (sign_in.scopes.empty()) sign_in.scopes = {"profile", "email"};
  if (sign_in.scopes.size() > kSignInScopesMax) {
    return BadSignIn("scopes", fmt::format("at most {}", kSignInScopesMax));
  }
  std::set<std::string_view> seen;
  for (const std::string& scope : sign_in.scopes) {
    if (!IsScope(scope)) {
      return BadSignIn("scopes", fmt::format("each is one word of 1 to {} printable ASCII characters without quotes",
                                             kSignInScopeCharsMax));
    }
    if (scope == "openid") return BadSignIn("scopes", "\"openid\" is asked for anyway; leave it out");
    if (!seen.insert(scope).second) return BadSignIn("scopes", fmt::format("\"{}\" stands there twice", scope));
  }
  return sign_in;
}

Status CheckClientSecret(std::string_view secret) {
  if (secret.size() <= kClientSecretCharsMax && IsPrintable(secret)) return {};
  return BadSignIn("client_secret", fmt::format("it has at most {} printable ASCII characters", kClientSecretCharsMax));
}

}  // namespace allod::tenancy
