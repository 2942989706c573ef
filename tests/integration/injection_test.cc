// Whatever a client writes into any field of any method, or into any header, path, query or body of any HTTP operation,
// is data: PostgreSQL runs the statements that it ran before, and no other.
//
// A few of the texts are tried in each place; ALLOD_TEST_INJECTIONS=all tries every one.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <pqxx/pqxx>
#include <random>
#include <set>
#include <thread>

#include "tests/integration/any_operation.h"
#include "tests/integration/belongings.h"
#include "tests/integration/gateway_http_client.h"
#include "tests/integration/injection_texts.h"
#include "tests/support/pg_server.h"

namespace allod::injection_test {
namespace {

using gateway::HttpClient;
using nlohmann::json;
using std::chrono::milliseconds;

class Injection : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    PgServer::RecordStatements();
    programs_ = std::make_unique<Programs>();
    pqxx::connection connection(programs_->database().owner_url);
    pqxx::nontransaction(connection).exec("CREATE EXTENSION pg_stat_statements");
    methods_ = std::make_unique<AllMethods>(*programs_);
    MakeTenant(*methods_, "ke");
    own_ = Furnish(*methods_, "ke", "nyumba", "jamii");
    unnamed_ = Furnish(*methods_, "ke", "hifadhi", "bakuli");
    key_ = methods_->Must("tenancy.CreateApiKey", {{"parent", own_.project}}).at("secret");
  }
  static void TearDownTestSuite() {
    methods_.reset();
    programs_.reset();
  }

  // The texts of what the services' roles ran, numbers and strings in them put aside.
  static std::set<std::string> Statements() {
    pqxx::connection connection(programs_->database().owner_url);
    pqxx::nontransaction session(connection);
    std::set<std::string> out;
    for (const auto& row : session.exec("SELECT DISTINCT r.rolname || ': ' || s.query FROM pg_stat_statements s JOIN "
                                        "pg_roles r ON r.oid = s.userid "
                                        "WHERE r.rolname LIKE 'allod\\_%'")) {
      out.insert(row[0].as<std::string>());
    }
    return out;
  }
  static std::int64_t Kept() {
    pqxx::connection connection(programs_->database().owner_url);
    pqxx::nontransaction session(connection);
    return session.exec1("SELECT dealloc FROM pg_stat_statements_info")[0].as<std::int64_t>();
  }

  static Caller CallerOf(const AnyMethod& method) {
    if (method.takes_resource()) return Caller::Tenant("ke");
    if (method.Admits({access::v1::WHO_SERVICE})) return Caller::Service("gateway");
    if (method.Admits({access::v1::WHO_NODE})) return Caller::Node("n");
    return Caller::Operator();
  }

  // Every text of every method is each of `texts` once; some of them, if there are more than `most`.
  static int FillMethods(const std::vector<std::string>& texts, std::size_t most, std::minstd_rand& random) {
    int places = 0;
    for (const AnyMethod& method : methods_->all()) {
      if (!methods_->AreServed(method)) continue;
      // A stream has no end of its own.
      const milliseconds timeout(method.descriptor->server_streaming() ? 60 : 5000);
      for (const std::string& name : ResourcesOf(method)) {
        const MessagePtr whole = methods_->Request(method, name, name);
        const std::vector<TextField> fields = TextFieldsOf(*whole);
        const AnyAnswer as_it_is = methods_->Ask(method, *whole, CallerOf(method), timeout);
        methods_->Forget(method, as_it_is);
        for (std::size_t i = 0; i < fields.size(); ++i) {
          ++places;
          for (const std::string& text : Some(texts, most, random)) {
            const MessagePtr request = methods_->Request(method, name, name);
            fields.at(i).set(*request, text);
            methods_->Forget(method, methods_->Ask(method, *request, CallerOf(method), timeout));
          }
        }
      }
    }
    return places;
  }
  // Those of ke's things that the method takes; of one that would delete them, what is not there.
  static std::vector<std::string> ResourcesOf(const AnyMethod& method) {
    static std::map<std::string, std::vector<std::string>> known;
    if (!method.takes_resource()) return {own_.tenant};
    auto& out = known[method.name()];
    if (!out.empty()) return out;
    for (std::string name : own_.names) {
      if (method.is_destructive()) name += "q";
      const auto code =
          methods_->Ask(method, *methods_->Request(method, name, name), CallerOf(method)).status.error_code();
      const bool is_taken = code == grpc::OK || code == grpc::ALREADY_EXISTS || code == grpc::FAILED_PRECONDITION;
      if (is_taken || (method.is_destructive() && code == grpc::NOT_FOUND)) {
        out = {name};
        return out;
      }
    }
    return {own_.tenant};
  }
  static std::vector<std::string> Some(const std::vector<std::string>& texts, std::size_t most,
                                       std::minstd_rand& random) {
    if (texts.size() <= most) return texts;
    std::vector<std::string> out;
    std::ranges::sample(texts, std::back_inserter(out), static_cast<std::ptrdiff_t>(most), random);
    return out;
  }

  static int FillOperations(const std::vector<std::string>& texts, std::size_t most, std::minstd_rand& random) {
    static const std::vector<std::string> kHeaders = {"authorization",
                                                      "host",
                                                      "content-type",
                                                      "accept",
                                                      "accept-encoding",
                                                      "user-agent",
                                                      "idempotency-key",
                                                      "traceparent",
                                                      "tracestate",
                                                      "x-request-id",
                                                      "x-forwarded-for",
                                                      "forwarded",
                                                      "origin",
                                                      "referer",
                                                      "cookie",
                                                      "if-match",
                                                      "allod-caller",
                                                      "grpc-metadata-allod-caller",
                                                      "openai-organization",
                                                      "openai-project",
                                                      "x-unknown"};
    const json document = json::parse(Send("GET", "/openapi.json", "", "", "").body);
    int places = 0;
    for (const AnyOperation& operation : AllOperations(document, *methods_, own_.names)) {
      std::map<std::string, std::string> own{
          {"model", "starter"}, {"version", "v1"}, {"variant", "q4_k_m"}, {"listing", "starter"}};
      for (const std::string& name : own_.names) {
        if (name.find("/-") == std::string::npos) own.merge(ParametersOf(name));
      }
      if (!operation.is_portal()) own["model"] = own_.word;
      const bool is_destructive = operation.method == "DELETE" || operation.path.ends_with(":revoke");
      if (is_destructive) own[operation.parameters.back()] += "q";
      const std::string body = operation.body.is_null() ? "" : operation.body.dump();
      const auto each = [&](auto send) {
        ++places;
        for (const std::string& text : Some(texts, most, random)) send(text);
      };
      for (const std::string& parameter : operation.parameters) {
        each([&](const std::string& text) {
          auto other = own;
          other[parameter] = text;
          Send(operation.method, PathOf(operation, other), key_, body, "");
        });
      }
      for (const std::string& query : operation.queries) {
        each([&](const std::string& text) {
          Send(operation.method, PathOf(operation, own) + "?" + query + "=" + PercentEncode(text), key_, body, "");
        });
      }
      for (const auto& place : TextsOf(operation.body)) {
        each([&](const std::string& text) {
          json other = operation.body;
          other[place] = text;
          Send(operation.method, PathOf(operation, own), key_,
               other.dump(-1, ' ', false, json::error_handler_t::replace), "");
        });
      }
      for (const std::string& header : kHeaders) {
        each([&](const std::string& text) {
          const bool is_own = header == "authorization" || header == "host" || header == "content-type";
          Send(operation.method, PathOf(operation, own), header == "authorization" ? "" : key_, is_own ? "" : body,
               header + ": " + (header == "authorization" ? "Bearer " : "") + text + "\r\n");
        });
      }
    }
    return places;
  }
  static HttpClient::Response Send(const std::string& method, const std::string& path, const std::string& key,
                                   const std::string& body, const std::string& headers) {
    ++requests_;
    return gateway::Fetch(programs_->gateway_port(), method, path, key, body, headers);
  }

  static inline std::unique_ptr<Programs> programs_;
  static inline std::unique_ptr<AllMethods> methods_;
  static inline Belongings own_;
  static inline Belongings unnamed_;  // of which no text speaks
  static inline std::string key_;
  static inline int requests_ = 0;
};

TEST_F(Injection, RunsNoOtherStatementWhateverAnybodyWrites) {
  const char* asked = std::getenv("ALLOD_TEST_INJECTIONS");
  const bool are_all = asked != nullptr && std::string_view(asked) == "all";
  std::minstd_rand random(7);
  FillMethods(HarmlessTexts(), HarmlessTexts().size(), random);
  FillOperations(HarmlessTexts(), are_all ? HarmlessTexts().size() : 4, random);
  Send("GET", "/v1/models", key_, "", "");
  std::this_thread::sleep_for(milliseconds(1500));  // until the gateway has told which keys were used
  const std::set<std::string> before = Statements();
  ASSERT_GT(before.size(), 100U) << "pg_stat_statements keeps what the services run";

  ASSERT_EQ(Send("GET", "/v1/models", key_, "", "").status, 200) << "nothing is suspended, and requests get in";

  const std::size_t most = are_all ? HostileTexts().size() : 6;
  const int calls = methods_->calls();
  const int requests = requests_;
  const int fields = FillMethods(HostileTexts(), most, random);
  const int places = FillOperations(HostileTexts(), are_all ? most : 3, random);
  const std::set<std::string> after = Statements();
  EXPECT_EQ(Kept(), 0) << "some statements were forgotten; raise pg_stat_statements.max";
  for (const std::string& statement : after) {
    EXPECT_TRUE(before.contains(statement)) << "ran for the first time: " << statement;
  }
  // And what no text spoke of is as it was.
  for (const std::string nth : {"", "2"}) {
    const std::string name = unnamed_.project + "/instances/" + unnamed_.word + nth;
    EXPECT_EQ(methods_->Must("scheduling.GetInstance", {{"name", name}}).at("name"), name);
  }
  EXPECT_EQ(Send("GET", "/v1/models", key_, "", "").status, 200);
  // That one would have been seen.
  pqxx::connection session(PgServer::Get().UrlAs("allod_tenancy", programs_->database().name));
  pqxx::nontransaction(session).exec("SELECT 1 FROM tenancy.tenants WHERE id = '' OR '1' = '1'");
  EXPECT_EQ(Statements().size(), after.size() + 1);
  std::cout << fmt::format(
      "{} fields of methods, {} places of requests; {} calls, {} requests; {} statements before, {} after\n", fields,
      places, methods_->calls() - calls, requests_ - requests, before.size(), after.size());
}

}  // namespace
}  // namespace allod::injection_test
