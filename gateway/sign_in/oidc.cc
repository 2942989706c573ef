#include "gateway/sign_in/oidc.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "gateway/http/message.h"
#include "services/common/digest.h"
#include "services/common/jose/base64url.h"
#include "services/common/jose/strict_json.h"
#include "services/common/percent.h"
#include "services/common/private_url.h"
#include "services/common/text_check.h"

namespace allod::gateway::sign_in {
namespace {

constexpr std::size_t kCodeBytesMax = 2048;
constexpr std::size_t kDisplayNameCharsMax = 128;
constexpr std::size_t kSubjectBytesMax = 255;
constexpr std::size_t kErrorWordMax = 64;
constexpr jose::JsonLimits kAnswerLimits{.depth_max = 6, .values_max = 256};

std::unexpected<Error> Failed(std::string message) {
  return Fail(Code::kUnauthenticated, "SIGN_IN_FAILED", std::move(message));
}

Status CheckEndpoint(std::string_view url, std::string_view what) {
  if (IsPrivateUrl(url)) return {};
  return FailedPrecondition("ISSUER_MISCONFIGURED",
                            fmt::format("the issuer's discovery document has no {} that is https", what));
}

// "access_denied", and nothing that is not such a word.
std::string ErrorWord(const std::string& word) {
  const bool is_word = word.size() <= kErrorWordMax &&
                       std::ranges::all_of(word, [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
  return is_word ? word : "an error";
}

// base64 (RFC 4648 section 4), as Basic authentication wants it.
std::string Base64(std::string_view bytes) {
  std::string out = jose::EncodeBase64Url(bytes);
  std::ranges::replace(out, '-', '+');
  std::ranges::replace(out, '_', '/');
  while (out.size() % 4 != 0) out += '=';
  return out;
}

}  // namespace

Result<std::string> AuthorizationUrl(const federation::Issuer& issuer, const federation::SignIn& client,
                                     const Attempt& attempt, const std::string& redirect_uri) {
  const std::string& endpoint = issuer.authorization_endpoint;
  ALLOD_CHECK_OK(CheckEndpoint(endpoint, "authorization_endpoint"));
  std::string scope = "openid";
  for (const std::string& word : client.scopes) scope += " " + word;
  Sha256 challenge;
  challenge.Update(attempt.verifier.data(), attempt.verifier.size());
  const Digest256 digest = challenge.Finish();
  const std::string parameters =
      FormOf({{"response_type", "code"},
              {"client_id", client.client_id},
              {"redirect_uri", redirect_uri},
              {"scope", scope},
              {"state", attempt.state},
              {"nonce", attempt.nonce},
              {"code_challenge", jose::EncodeBase64Url({reinterpret_cast<const char*>(digest.data()), digest.size()})},
              {"code_challenge_method", "S256"}});
  return endpoint + (endpoint.find('?') == std::string::npos ? "?" : "&") + parameters;
}

Result<std::string> ReadCode(std::string_view query, const Attempt& attempt, const federation::Provider& provider,
                             const federation::Issuer& issuer) {
  ALLOD_TRY(const http::Fields values, http::ParseFields(query));
  const auto of = [&](const char* name) {
    const auto found = values.find(name);
    return found == values.end() ? std::string() : found->second;
  };
  if (!EqualInConstantTime(of("state"), attempt.state)) {
    return Fail(Code::kUnauthenticated, "OTHER_ATTEMPT",
                "this answer belongs to another attempt to sign in; begin again");
  }
  // An answer of another issuer would be taken for this one's (RFC 9207).
  const bool has_issuer = values.contains("iss");
  if (has_issuer ? of("iss") != provider.issuer : issuer.names_itself) {
    return Failed("the answer is not from the identity provider that was asked");
  }
  if (values.contains("error")) {
    return Failed(fmt::format("the identity provider says: {}", ErrorWord(of("error"))));
  }
  std::string code = of("code");
  if (code.empty() || code.size() > kCodeBytesMax) return Failed("the identity provider gave no code");
  return code;
}

Result<FetchRequest> CodeRequest(const federation::Issuer& issuer, const federation::SignIn& client,
                                 const Attempt& attempt, const std::string& code, const std::string& redirect_uri) {
  ALLOD_CHECK_OK(CheckEndpoint(issuer.token_endpoint, "token_endpoint"));
  std::vector<std::pair<std::string, std::string>> form{{"grant_type", "authorization_code"},
                                                        {"code", code},
                                                        {"redirect_uri", redirect_uri},
                                                        {"code_verifier", attempt.verifier}};
  FetchRequest out{.url = issuer.token_endpoint};
  if (client.client_secret.empty()) {
    form.emplace_back("client_id", client.client_id);
  } else {
    out.authorization = "Basic " + Base64(PercentEncode(client.client_id) + ":" + PercentEncode(client.client_secret));
  }
  out.form = FormOf(form);
  return out;
}

Result<std::string> IdTokenOf(std::string_view answer) {
  const auto json = jose::ParseStrictObject(answer, kAnswerLimits);
  if (!json) return Failed("the identity provider's answer to the code cannot be read");
  const auto found = json->find("id_token");
  if (found == json->end() || !found->is_string()) return Failed("the identity provider gave no ID token");
  return found->get<std::string>();
}

Status CheckIdToken(const jose::UnverifiedToken& token, const jose::Claims& claims, const std::string& client_id,
                    const std::string& nonce) {
  const auto refuse = [](const char* reason, const char* why) { return Fail(Code::kUnauthenticated, reason, why); };
  if (token.is_access_token()) return refuse("TOKEN_TYPE", "this is an access token, and no ID token");
  if (claims.audiences() != std::vector{client_id}) {
    return refuse("TOKEN_AUDIENCE", "the ID token is for others as well");
  }
  const auto party = claims.Text("azp");
  if (party && *party != client_id) return refuse("TOKEN_AUDIENCE", "the ID token was made for another client");
  if (!EqualInConstantTime(claims.Text("nonce").value_or(""), nonce)) {
    return refuse("TOKEN_NONCE", "the ID token belongs to another attempt to sign in");
  }
  if (claims.subject().size() > kSubjectBytesMax) {
    return refuse("TOKEN_CLAIM", "the ID token's \"sub\" has more than 255 bytes");
  }
  return {};
}

std::string DisplayNameOf(const jose::Claims& claims) {
  for (const char* name : {"name", "email"}) {
    const auto text = claims.Text(name);
    if (!text || text->empty() || FindNoText(*text)) continue;
    return CutText(*text, kDisplayNameCharsMax);
  }
  return "";
}

}  // namespace allod::gateway::sign_in
