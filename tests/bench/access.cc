// What it costs to know who asks and what they may do: a gateway that has 20,000 keys authenticates one of them, and
// junk; a service decides whether a method admits a caller. In one process, without network. The last line is JSON.
#include "services/common/rpc/access.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "allod/tenancy/v1/api_key.pb.h"
#include "gateway/access/api_keys.h"
#include "services/common/api_key_format.h"
#include "tests/bench/pool/report.h"

namespace allod::bench {
namespace {

constexpr char kPepper[] = "the pepper of a benchmark";
constexpr double kAuthenticateMax = 2000;  // nanoseconds
constexpr double kDecideMax = 500;

// The median of `rounds` of the mean of `count` calls.
template <typename Call>
double Nanoseconds(int rounds, int count, Call call) {
  std::vector<double> means;
  for (int round = 0; round < rounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < count; ++i) call(static_cast<std::size_t>(i));
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    means.push_back(took.count() / count);
  }
  return Median(means).value_or(0);
}

// A lie would make the figure worth nothing.
void Must(bool holds, const char* what) {
  if (holds) return;
  std::cerr << "bench_access: " << what << "\n";
  std::exit(1);
}

struct Keys {
  SystemClock clock;
  gateway::access::KeyUses uses;
  gateway::access::ApiKeyTable table{kPepper, clock, uses};
  std::vector<std::string> headers;  // of some of them
};

void Fill(Keys& keys, int count) {
  tenancy::v1::WatchApiKeysResponse message;
  for (int i = 0; i < count; ++i) {
    const ApiKeyText text = NewApiKey();
    const ApiKeyDigest digest = DigestApiKeySecret(kPepper, text.secret);
    auto& key = *message.add_keys();
    key.set_name("tenants/ke/projects/p/apiKeys/" + text.kid);
    key.set_kid(text.kid);
    key.set_digest(std::string(digest.begin(), digest.end()));
    key.add_scopes(tenancy::v1::ApiKey::SCOPE_PORTAL);
    key.add_roles(Role::ROLE_DEVELOPER);
    if (i % 16 == 0) keys.headers.push_back("Bearer " + FormatApiKey(text));
  }
  message.set_synced(true);
  keys.table.BeginSnapshot();
  keys.table.Apply(message);
}

int Bench(int count, int calls) {
  Report report("access",
                fmt::format("Nanoseconds of one decision, the median of 15 rounds of {} each: authenticating one of {} "
                            "keys; refusing a malformed one; deciding whether a method admits a caller, by kind, "
                            "resource and role, when it does and when a role is missing.",
                            calls, count));
  Keys keys;
  Fill(keys, count);
  const auto client = IpAddress::Parse("192.0.2.1");
  constexpr int kRounds = 15;
  const double known = Nanoseconds(kRounds, calls, [&](std::size_t i) {
    Must(keys.table.Authenticate(keys.headers[i % keys.headers.size()], client).has_value(), "a key was refused");
  });
  std::vector<std::string> junk;
  for (const std::string& header : keys.headers) {
    junk.push_back(header);
    junk.back().back() = header.back() == '0' ? '1' : '0';
  }
  const double malformed = Nanoseconds(kRounds, calls, [&](std::size_t i) {
    Must(!keys.table.Authenticate(junk[i % junk.size()], client).has_value(), "junk was let in");
  });

  const Method& method = MethodOf<tenancy::v1::CreateApiKeyRequest>();
  const Caller developer = Caller::Key("ke", "p", {"portal"}, {Role::ROLE_DEVELOPER});
  const Caller viewer = Caller::Key("ke", "p", {"portal"}, {Role::ROLE_VIEWER});
  const std::string project = "tenants/ke/projects/p";
  const double admitted = Nanoseconds(kRounds, calls, [&](std::size_t) {
    Must(CheckAccess(method, developer, project).has_value(), "a developer was refused");
  });
  // As a person or pipeline that acts by a tenant's own role, with as many permissions as one may have.
  std::vector<std::string> patterns = {"tenancy.apiKeys.create"};
  for (const char* verb : {"get", "list", "create"}) {
    for (char a = 'a'; a <= 'u'; ++a) patterns.push_back(std::string("scheduling.collection") + a + "." + verb);
  }
  Rights rights;
  rights.Add(std::make_shared<const CustomRole>(CustomRole{"deploy", Permissions(patterns)}));
  const Caller deployer = Caller::Workload("ke", "p", "ci", {"portal"}, rights);
  const double by_custom_role = Nanoseconds(kRounds, calls, [&](std::size_t) {
    Must(CheckAccess(method, deployer, project).has_value(), "a deployer was refused");
  });
  const double refused = Nanoseconds(kRounds, calls, [&](std::size_t) {
    Must(!CheckAccess(method, viewer, project).has_value(), "a viewer made a key");
  });

  report.Figure("authenticate a cached key", known, "ns", AtMost(kAuthenticateMax));
  report.Figure("evaluate a permission", admitted, "ns", AtMost(kDecideMax));
  report.Figure("evaluate a permission of a custom role", by_custom_role, "ns", AtMost(kDecideMax));
  report.Detail("keys", count);
  report.Detail("refuse_a_malformed_key_ns", malformed);
  report.Detail("refuse_for_a_missing_permission_ns", refused);
  report.Print();
  return 0;
}

}  // namespace
}  // namespace allod::bench

int main(int argc, char** argv) {
  CLI::App app("What it costs to know who asks and what they may do");
  int keys = 20'000;
  int calls = 20'000;
  app.add_option("--keys", keys, "Keys that the gateway knows")->check(CLI::Range(1, 1'000'000));
  app.add_option("--calls", calls, "Decisions of a round")->check(CLI::Range(1, 10'000'000));
  CLI11_PARSE(app, argc, argv);
  return allod::bench::Bench(keys, calls);
}
