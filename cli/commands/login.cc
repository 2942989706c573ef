// `allod login`, `logout` and `whoami`: a person of a tenant, at the gateway, from any machine.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/commands/session_file.h"
#include "cli/commands/tenant_commands.h"
#include "cli/installation/files.h"
#include "cli/installation/lock.h"
#include "cli/net/device_login.h"
#include "cli/net/http_call.h"
#include "cli/net/http_client.h"
#include "cli/net/json_fields.h"
#include "cli/terminal/print.h"

namespace allod::cli::commands {
namespace {

using nlohmann::json;

constexpr int kGatewayTimeoutS = 30;
// Whatever a gateway says.
constexpr std::chrono::seconds kLifeMax = std::chrono::hours(24);

struct LoginOptions {
  std::string tenant;
  std::string provider;
};

struct LogoutOptions {
  bool everywhere = false;
};

struct WhoAmIOptions {
  std::string key_file;
};

// The one that is named, else that of this machine.
Result<std::string> GatewayOf(const Globals& globals) {
  ALLOD_TRY(const std::string named, NamedGateway(globals));
  if (!named.empty()) return named;
  const auto state = installation::FindRunning(globals.state);
  if (state) return state->HttpBase();
  return InvalidArgument("GATEWAY_NEEDED",
                         "no installation runs on this machine: name its gateway with --gateway https://HOST");
}

// The body of a 2xx; otherwise what the problem object says.
Result<json> AskGateway(const net::HttpRequest& request) {
  ALLOD_TRY(const net::HttpResponse response, net::Fetch(request));
  json body = json::parse(response.body, nullptr, false);
  if (response.status == 204) return json::object();
  if (response.status / 100 == 2 && body.is_object()) return body;
  if (response.status / 100 == 2) {
    return Fail(Code::kUnavailable, "NO_GATEWAY",
                request.url + " does not answer as a gateway; is it the right address?");
  }
  return std::unexpected(net::ErrorOf(response.status, response.body, request.url));
}

// Of those with which people of the tenant sign in the one that is named, or the only one.
Result<json> ChooseProvider(const std::string& gateway, const std::string& tenant, const std::string& id) {
  ALLOD_TRY(const json listed,
            AskGateway({.url = gateway + "/auth/providers?tenant=" + tenant, .timeout_s = kGatewayTimeoutS}));
  std::vector<std::string> names;
  json first;
  for (const json& provider : net::ListIn(listed, "identityProviders")) {
    if (!provider.is_object()) continue;
    const std::string name = net::TextIn(provider, "name");
    if (id.empty() || name == tenant + "/identityProviders/" + id) names.push_back(name);
    if (!id.empty() && names.size() == 1) return provider;
    if (names.size() == 1) first = provider;
  }
  if (names.empty()) {
    return Fail(Code::kNotFound, "NO_SIGN_IN",
                fmt::format("people of {} do not sign in at {} with that", tenant, gateway));
  }
  if (names.size() == 1) return first;
  return InvalidArgument("PROVIDER_NEEDED", fmt::format("name one with --provider: {}", fmt::join(names, ", ")));
}

void Show(const net::DevicePrompt& prompt) {
  std::cerr << fmt::format("Open {}\nand enter the code {}\n", prompt.url, prompt.code);
  if (!prompt.url_with_code.empty()) std::cerr << fmt::format("or open {}\n", prompt.url_with_code);
  std::cerr << fmt::format("Waiting for you to agree there (at most {} minutes) ...\n",
                           std::max<long>(1, prompt.life.count() / 60))
            << std::flush;
}

std::string RolesText(const json& roles) {
  std::vector<std::string> words;
  for (const json& role : roles) {
    if (role.is_string()) words.push_back(role.get<std::string>());
  }
  return words.empty() ? "none" : fmt::format("{}", fmt::join(words, ", "));
}

void ShowWho(const Globals& globals, const json& who) {
  if (globals.json()) return terminal::Print(who.dump(2) + "\n");
  std::string out = fmt::format("{} {}\n", net::TextIn(who, "kind"), net::TextIn(who, "name"));
  if (const std::string name = net::TextIn(who, "displayName"); !name.empty()) out += fmt::format("name: {}\n", name);
  out += fmt::format("tenant: {}\nroles: {}\n", net::TextIn(who, "tenant"), RolesText(net::ListIn(who, "roles")));
  for (const json& at : net::ListIn(who, "projectRoles")) {
    if (!at.is_object()) continue;
    out += fmt::format("roles at {}: {}\n", net::TextIn(at, "project"), RolesText(net::ListIn(at, "roles")));
  }
  terminal::Print(terminal::Plain(out));
}

Result<json> AskWho(const std::string& gateway, const std::string& token) {
  return AskGateway({.url = gateway + "/auth/whoami", .bearer = token, .timeout_s = kGatewayTimeoutS});
}

Status Login(const Globals& globals, const LoginOptions& options) {
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  ALLOD_TRY(const std::string gateway, GatewayOf(globals));
  ALLOD_TRY(const json provider, ChooseProvider(gateway, tenant, options.provider));
  net::DeviceClient client{net::TextIn(provider, "issuer"), net::TextIn(provider, "clientId"), {}};
  for (const json& scope : net::ListIn(provider, "scopes")) {
    if (scope.is_string()) client.scopes.push_back(scope.get<std::string>());
  }
  ALLOD_TRY(const std::string id_token, net::DeviceLogin(client, &Show));
  ALLOD_TRY(const json session,
            AskGateway({.method = "POST",
                        .url = gateway + "/auth/session",
                        .form = {{"identity_provider", net::TextIn(provider, "name")}, {"id_token", id_token}},
                        .timeout_s = kGatewayTimeoutS}));
  const SavedSession saved{
      gateway, net::TextIn(session, "accessToken"),
      std::chrono::system_clock::now() +
          std::clamp(std::chrono::seconds(net::NumberIn(session, "expiresIn")), std::chrono::seconds(0), kLifeMax)};
  ALLOD_CHECK_OK(SaveSession(saved));
  ALLOD_TRY(const json who, AskWho(gateway, saved.token));
  ShowWho(globals, who);
  return {};
}

Status Logout(const Globals&, const LogoutOptions& options) {
  const auto saved = LoadSession(std::chrono::system_clock::now());
  if (!saved && saved.error().reason != "SESSION_EXPIRED") return std::unexpected(saved.error());
  if (saved) {
    const auto ended =
        AskGateway({.method = "POST",
                    .url = saved->gateway + "/auth/sign-out" + (options.everywhere ? "?everywhere=true" : ""),
                    .bearer = saved->token,
                    .timeout_s = kGatewayTimeoutS});
    // A session that is over already is signed out of.
    if (!ended && ended.error().code != Code::kUnauthenticated) {
      ALLOD_CHECK_OK(ForgetSession());
      return Fail(ended.error().code, ended.error().reason,
                  fmt::format("the session is forgotten here, but was not ended: {}", ended.error().message));
    }
  }
  ALLOD_CHECK_OK(ForgetSession());
  terminal::Print("signed out\n");
  return {};
}

Status WhoAmI(const Globals& globals, const WhoAmIOptions& options) {
  std::string gateway, token;
  if (options.key_file.empty()) {
    ALLOD_TRY(const std::string named, NamedGateway(globals));
    ALLOD_TRY(const SavedSession saved, SessionAt(named));
    gateway = saved.gateway;
    token = saved.token;
  } else {
    ALLOD_TRY(gateway, GatewayOf(globals));
    ALLOD_TRY(token, installation::ReadSecret(options.key_file));
  }
  ALLOD_TRY(const json who, AskWho(gateway, token));
  ShowWho(globals, who);
  return {};
}

}  // namespace

void AddLogin(CLI::App& app, Globals& globals) {
  {
    const auto [command, options] = AddCommand<LoginOptions>(
        app, globals, "login", "Sign in as a person of a tenant, by a code for any browser", &Login);
    command->add_option("tenant", options->tenant, kTenantHelp)->required();
    command->add_option("--provider", options->provider, "The identity provider, if the tenant has several");
  }
  {
    const auto [command, options] =
        AddCommand<LogoutOptions>(app, globals, "logout", "End the session of `allod login`", &Logout);
    command->add_flag("--everywhere", options->everywhere, "End all of your sessions, browsers' too");
  }
  {
    const auto [command, options] =
        AddCommand<WhoAmIOptions>(app, globals, "whoami", "Who you are to the gateway, and with which roles", &WhoAmI);
    command->add_option("--key-file", options->key_file, "Of this API key instead of the session");
  }
}

}  // namespace allod::cli::commands
