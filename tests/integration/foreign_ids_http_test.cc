// Every operation of /openapi.json, asked by keys of every role with names and ids of another tenant and of another
// project, in its path, its query and its body: the answer is that for something that does not exist, and nothing of
// the others is in it.
//
// No operation has a row here. A new one is asked the day it is added.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <regex>
#include <set>

#include "tests/integration/absent_names.h"
#include "tests/integration/any_operation.h"
#include "tests/integration/belongings.h"
#include "tests/integration/gateway_http_client.h"

namespace allod::foreign_ids_http_test {
namespace {

using gateway::HttpClient;
using nlohmann::json;

class ForeignIdsHttp : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    programs_ = std::make_unique<Programs>();
    methods_ = std::make_unique<AllMethods>(*programs_);
    for (const char* tenant : {"ke", "tanganyika"}) MakeTenant(*methods_, tenant);
    own_ = Furnish(*methods_, "ke", "nyumba", "jamii");
    neighbour_ = Furnish(*methods_, "ke", "jirani", "mshauri");
    foreign_ = Furnish(*methods_, "tanganyika", "siri", "hazina");
    for (const char* role : {"ADMIN", "DEVELOPER", "BILLING", "AUDITOR", "VIEWER"}) {
      AddKey(role, {{"scopes", json::array({"SCOPE_PORTAL", "SCOPE_INFERENCE"})},
                    {"roles", json::array({std::string("ROLE_") + role})}});
    }
    AddKey("inference", {{"scopes", json::array({"SCOPE_INFERENCE"})}});
    const json document = json::parse(Fetch("GET", "/openapi.json", "").body);
    operations_ = AllOperations(document, *methods_, own_.names);
  }
  static void TearDownTestSuite() {
    methods_.reset();
    programs_.reset();
  }
  static void AddKey(const std::string& word, const json& key) {
    keys_[word] = methods_->Must("tenancy.CreateApiKey", {{"parent", own_.project}, {"apiKey", key}}).at("secret");
  }

  static HttpClient::Response Fetch(const std::string& method, const std::string& path, const std::string& key,
                                    const std::string& body = "") {
    ++calls_;
    return gateway::Fetch(programs_->gateway_port(), method, path, key, body);
  }
  static HttpClient::Response Ask(const AnyOperation& operation, const std::map<std::string, std::string>& parameters,
                                  const std::string& key, const json& body, const std::string& query = "") {
    return Fetch(operation.method, PathOf(operation, parameters) + query, key, body.is_null() ? "" : body.dump());
  }

  // What is in an answer but what differs each time.
  static std::string Plain(const HttpClient::Response& response) {
    static const std::vector<std::pair<std::regex, std::string>> kVolatile = {
        {std::regex("\r\n(date|x-request-id|traceparent|x-ratelimit-[a-z-]+|retry-after|content-length): [^\r]*"), ""},
        {std::regex("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4,12}"), "UUID"},
        {std::regex("\"(etag|instance|nextPageToken|createTime|created|phase)\":(\"[^\"]*\"|[0-9]+)"), "\"$1\":\"\""},
        {std::regex("ald_[a-z2-7]{12}_[a-z2-7]{52}_[0-9a-f]{8}|apiKeys/[a-z2-7]{12}"), "KEY"},
        {std::regex("\\d{4}-\\d\\d-\\d\\dT[0-9:.]+Z"), "TIME"},
        {std::regex("new-\\d+"), "NEW"},
    };
    std::string text = fmt::format("{} {}{}", response.status, response.head, response.body);
    for (const auto& [pattern, word] : kVolatile) text = std::regex_replace(text, pattern, word);
    return text;
  }
  static void ExpectSame(const std::string& what, const std::string& foreign, const HttpClient::Response& of_foreign,
                         const std::string& absent, const HttpClient::Response& of_absent) {
    EXPECT_EQ(Plain(of_foreign), Alike(Plain(of_absent), foreign, absent))
        << what << " tells " << foreign << " from " << absent;
  }
  static void ExpectNothingOf(const Belongings& others, const std::string& what, const std::string& sent,
                              const HttpClient::Response& response) {
    std::vector<std::string> secrets = others.ids;
    secrets.insert(secrets.end(), {others.word, others.kid});
    if (&others == &foreign_) secrets.emplace_back("tanganyika");
    for (const std::string& secret : secrets) {
      if (secret == Uuid::FromName(own_.tenant).ToString()) continue;
      EXPECT_TRUE(response.body.find(secret) == std::string::npos || sent.find(secret) != std::string::npos)
          << what << " tells " << secret << ": " << response.body;
    }
  }

  // Of another tenant's thing, or of one in another project of the same.
  static std::vector<std::string> AbsentOf(const std::string& name) {
    std::vector<std::string> out = AbsentNames(name);
    if (name.starts_with(own_.tenant + "/")) out.erase(out.begin());
    return out;
  }

  static inline std::unique_ptr<Programs> programs_;
  static inline std::unique_ptr<AllMethods> methods_;
  static inline Belongings own_, neighbour_, foreign_;
  static inline std::map<std::string, std::string> keys_;  // by role
  static inline std::vector<AnyOperation> operations_;
  static inline int calls_ = 0;
};

TEST_F(ForeignIdsHttp, EveryOperationAnswersAsOfWhatDoesNotExist) {
  std::set<std::string> asked;
  for (const AnyOperation& operation : operations_) {
    for (const Belongings* others : {&foreign_, &neighbour_}) {
      for (const std::string& name : others->names) {
        const auto parameters = ParametersOf(name);
        // Names that fill the operation's path, and no others.
        if (!std::ranges::all_of(operation.parameters, [&](const auto& p) { return parameters.contains(p); })) continue;
        if (operation.parameters.size() != parameters.size() || !parameters.contains("tenant")) continue;
        if (others == &neighbour_ && !name.starts_with(neighbour_.project)) continue;
        for (const auto& [role, key] : keys_) {
          const std::string what = operation.id + " as " + role;
          const auto of_foreign = Ask(operation, parameters, key, operation.body);
          ExpectNothingOf(*others, what, name + operation.body.dump(), of_foreign);
          EXPECT_GE(of_foreign.status, 400) << what << " " << name;
          if (others == &foreign_ && role != "inference") {
            EXPECT_EQ(of_foreign.status, 404) << what << " " << name;
          }
          for (const std::string& absent : AbsentOf(name)) {
            ExpectSame(what, name, of_foreign, absent, Ask(operation, ParametersOf(absent), key, operation.body));
          }
        }
        asked.insert(operation.id);
      }
    }
    const bool is_about_a_tenant = std::ranges::find(operation.parameters, "tenant") != operation.parameters.end();
    EXPECT_TRUE(!is_about_a_tenant || asked.contains(operation.id))
        << operation.id << " (" << operation.path << ") is about a tenant's things of which Furnish() makes none";
  }
  EXPECT_GE(asked.size(), 20U);
  std::cout << fmt::format("{} operations, {} of them about a tenant's things; {} requests\n", operations_.size(),
                           asked.size(), calls_);
}

TEST_F(ForeignIdsHttp, NothingElsewhereInARequestLeadsToOthers) {
  int fields = 0;
  // Where the own names fit, else what is there for all.
  for (const AnyOperation& operation : operations_) {
    if (operation.method == "DELETE" || operation.path.ends_with(":revoke"))
      continue;  // would take what is asked about
    std::map<std::string, std::string> own{
        {"model", "starter"}, {"version", "v1"}, {"variant", "q4_k_m"}, {"listing", "starter"}};
    for (const std::string& name : own_.names) {
      if (name.find("/-") == std::string::npos) own.merge(ParametersOf(name));
    }
    if (!operation.is_portal()) own["model"] = own_.word;
    const auto ask = [&](const std::string& query, const json& body) {
      return Ask(operation, own, keys_.at("ADMIN"), body, query);
    };
    // A change is made to what stood there first, whatever the one before made of it; its etag is read anew.
    // What is the tenant's as a whole is not shown to a key.
    const auto standing = [&] {
      const auto shown = Fetch("GET", PathOf(operation, own), keys_.at("ADMIN"));
      return shown.status == 200 ? json::parse(shown.body) : operation.body;
    };
    const bool is_change = operation.method == "PUT";
    const json first = is_change ? standing() : operation.body;
    const auto body_now = [&] {
      json out = first;
      if (is_change) {
        out.erase("name");
        out["etag"] = standing().value("etag", "");
      }
      return out;
    };
    for (const Belongings* others : {&foreign_, &neighbour_}) {
      std::vector<std::pair<std::string, std::string>> pairs;
      for (const std::string& name : others->names) {
        if (others == &neighbour_ && !name.starts_with(others->project)) continue;
        const auto absent = AbsentOf(name);
        if (!absent.empty()) pairs.emplace_back(name, absent.front());
      }
      for (const std::string& id : {others->word, others->kid, others->ids.back()})
        pairs.emplace_back(id, AbsentId(id));
      for (const auto& [foreign, absent] : pairs) {
        for (const std::string& query : operation.queries) {
          const std::string what = operation.id + "?" + query;
          const auto of_foreign = ask("?" + query + "=" + PercentEncode(foreign), body_now());
          ExpectNothingOf(*others, what, foreign, of_foreign);
          ExpectSame(what, foreign, of_foreign, absent, ask("?" + query + "=" + PercentEncode(absent), body_now()));
        }
        for (const auto& place : TextsOf(operation.body)) {
          const std::string what = operation.id + " " + place.to_string();
          json body = body_now();
          body[place] = foreign;
          const auto of_foreign = ask("", body);
          ExpectNothingOf(*others, what, body.dump(), of_foreign);
          body = body_now();
          body[place] = absent;
          ExpectSame(what, foreign, of_foreign, absent, ask("", body));
        }
      }
      fields += static_cast<int>(operation.queries.size() + TextsOf(operation.body).size());
    }
  }
  EXPECT_GT(fields, 100);
  std::cout << fmt::format("{} places, {} requests\n", fields, calls_);
}

TEST_F(ForeignIdsHttp, ModelsAreThoseOfTheKeysProject) {
  const auto model = [&](const AnyOperation& operation, const std::string& id) {
    json body = operation.body;
    if (!body.is_null()) body["model"] = id;
    return Ask(operation, {{"model", id}}, keys_.at("inference"), body);
  };
  int asked = 0;
  for (const AnyOperation& operation : operations_) {
    const bool names_a_model = !operation.is_portal() && (!operation.parameters.empty() || !operation.body.is_null());
    if (!names_a_model) continue;
    ++asked;
    EXPECT_NE(model(operation, own_.word).status, 404) << operation.id << " does not find the key's own instance";
    for (const Belongings* others : {&foreign_, &neighbour_}) {
      const std::string second = others->word + "2";  // the first is a word that other tests make things under
      for (const std::string& id : {second, others->project + "/instances/" + second}) {
        const auto of_foreign = model(operation, id);
        EXPECT_EQ(of_foreign.status, 404) << operation.id << " " << id;
        std::string absent = id;
        absent.replace(absent.rfind(second), second.size(), AbsentId(second));
        ExpectSame(operation.id, id, of_foreign, absent, model(operation, absent));
      }
    }
  }
  EXPECT_GE(asked, 4);
  const auto listed = Fetch("GET", "/v1/models", keys_.at("inference"));
  EXPECT_EQ(listed.status, 200);
  for (const Belongings* others : {&foreign_, &neighbour_}) {
    EXPECT_EQ(listed.body.find(others->word + "2"), std::string::npos) << listed.body;
  }
}

}  // namespace
}  // namespace allod::foreign_ids_http_test
