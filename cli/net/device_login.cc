#include "cli/net/device_login.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "cli/net/http_client.h"
#include "cli/net/json_fields.h"
#include "services/common/private_url.h"

namespace allod::cli::net {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr int kAskTimeoutS = 20;
constexpr seconds kIntervalDefault{5};
constexpr seconds kSlowDown{5};
constexpr seconds kIntervalMax{60};
constexpr seconds kLifeMax{1800};
constexpr char kGrant[] = "urn:ietf:params:oauth:grant-type:device_code";

std::unexpected<Error> Failed(std::string message) {
  return Fail(Code::kUnauthenticated, "SIGN_IN_FAILED", std::move(message));
}

seconds SecondsIn(const json& object, const char* name, seconds otherwise, seconds max) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number_integer()) return otherwise;
  return std::clamp(seconds(found->get<std::int64_t>()), seconds(1), max);
}

// What a terminal shows of it is what it says: no control characters.
bool IsPlain(const std::string& text) {
  return std::ranges::all_of(text, [](unsigned char c) { return c >= ' ' && c != 0x7f; });
}

struct Answer {
  int status = 0;
  json body;
};

Result<Answer> AskJson(const HttpRequest& request) {
  ALLOD_TRY(const HttpResponse response, Fetch(request));
  json body = json::parse(response.body, nullptr, false);
  if (!body.is_object() && response.status >= 500) {
    return Fail(Code::kUnavailable, "HTTP_FAILED", fmt::format("{} answered {}", request.url, response.status));
  }
  if (!body.is_object()) return Failed(fmt::format("{} answered {} and no JSON", request.url, response.status));
  return Answer{response.status, std::move(body)};
}

struct Endpoints {
  std::string device;
  std::string token;
};

Result<Endpoints> Discover(const std::string& issuer) {
  ALLOD_CHECK_OK(CheckPrivate("the identity provider", issuer));
  const std::string base = issuer.ends_with('/') ? issuer.substr(0, issuer.size() - 1) : issuer;
  ALLOD_TRY(const Answer answer,
            AskJson({.url = base + "/.well-known/openid-configuration", .timeout_s = kAskTimeoutS}));
  if (TextIn(answer.body, "issuer") != issuer)
    return Failed(issuer + " does not describe itself; is it the right URL?");
  Endpoints out{TextIn(answer.body, "device_authorization_endpoint"), TextIn(answer.body, "token_endpoint")};
  if (out.device.empty() || out.token.empty()) {
    return FailedPrecondition("NO_DEVICE_FLOW", issuer + " does not let devices sign in (RFC 8628); use a browser");
  }
  ALLOD_CHECK_OK(CheckPrivate("the identity provider", out.device));
  ALLOD_CHECK_OK(CheckPrivate("the identity provider", out.token));
  return out;
}

// What the provider says when it does not give tokens, in words for people.
std::string Why(const json& body) {
  const std::string error = TextIn(body, "error");
  const std::string description = TextIn(body, "error_description");
  if (error == "invalid_client") {
    return "the identity provider does not know this client, or wants a secret of it, which a command line has not: "
           "sign_in needs a public client with the device flow";
  }
  if (error == "access_denied") return "the sign-in was refused in the browser";
  if (!IsPlain(error) || !IsPlain(description) || error.empty()) return "the identity provider gave no reason";
  return description.empty() ? error : fmt::format("{} ({})", description, error);
}

}  // namespace

Status CheckPrivate(std::string_view what, std::string_view url) {
  if (IsPrivateUrl(url)) return {};
  return InvalidArgument("NOT_HTTPS", fmt::format("{} must be reached by https (http on this machine only)", what));
}

Result<std::string> DeviceLogin(const DeviceClient& client, const std::function<void(const DevicePrompt&)>& show) {
  ALLOD_TRY(const Endpoints endpoints, Discover(client.issuer));
  std::string scope = "openid";
  for (const std::string& word : client.scopes) scope += " " + word;
  ALLOD_TRY(const Answer begun, AskJson({.method = "POST",
                                         .url = endpoints.device,
                                         .form = {{"client_id", client.client_id}, {"scope", scope}},
                                         .timeout_s = kAskTimeoutS}));
  if (begun.status != 200) return Failed(Why(begun.body));
  const std::string device_code = TextIn(begun.body, "device_code");
  const DevicePrompt prompt{TextIn(begun.body, "verification_uri"), TextIn(begun.body, "user_code"),
                            TextIn(begun.body, "verification_uri_complete"),
                            SecondsIn(begun.body, "expires_in", kLifeMax, kLifeMax)};
  const bool is_sound = !device_code.empty() && !prompt.url.empty() && !prompt.code.empty() && IsPlain(prompt.url) &&
                        IsPlain(prompt.code) && IsPlain(prompt.url_with_code);
  if (!is_sound) return Failed("the identity provider's answer cannot be used: it lacks a code or a URL");
  show(prompt);
  seconds interval = SecondsIn(begun.body, "interval", kIntervalDefault, kIntervalMax);
  const auto end = steady_clock::now() + prompt.life;
  while (steady_clock::now() < end) {
    std::this_thread::sleep_for(interval);
    const auto answer =
        AskJson({.method = "POST",
                 .url = endpoints.token,
                 .form = {{"grant_type", kGrant}, {"device_code", device_code}, {"client_id", client.client_id}},
                 .timeout_s = kAskTimeoutS});
    // A provider that is away for a moment is asked again, more slowly.
    if (!answer && answer.error().code != Code::kUnavailable) return std::unexpected(answer.error());
    const std::string error = answer ? TextIn(answer->body, "error") : "slow_down";
    if (error == "authorization_pending") continue;
    if (error == "slow_down") {
      interval = std::min(interval + kSlowDown, kIntervalMax);
      continue;
    }
    if (error == "expired_token") break;
    if (!error.empty()) return Failed(Why(answer->body));
    const std::string id_token = TextIn(answer->body, "id_token");
    if (id_token.empty()) return Failed("the identity provider gave no ID token");
    return id_token;
  }
  return Fail(Code::kDeadlineExceeded, "CODE_EXPIRED", "the code has expired before anybody used it; try again");
}

}  // namespace allod::cli::net
