// Every method of every service, asked with names, ids and page tokens of another tenant and of another project, in
// every field that takes a text, by the tenant as a whole, by a key and by a workload, with every role: the answer is
// word for word that for something that does not exist, nothing of the others is in it, and nothing of theirs changes.
//
// No method has a row here. A new one is asked the day it is added; if it cannot be, the test says what it needs.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <pqxx/pqxx>
#include <regex>
#include <set>
#include <thread>

#include "services/common/rpc/status.h"
#include "tests/integration/absent_names.h"
#include "tests/integration/all_methods.h"
#include "tests/integration/belongings.h"

namespace allod::foreign_ids_test {
namespace {

// A name or id that somebody else has, and the same of nobody.
struct Pair {
  std::string foreign;
  std::string absent;
};

class ForeignIds : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    programs_ = std::make_unique<Programs>();
    methods_ = std::make_unique<AllMethods>(*programs_);
    for (const char* tenant : {"ke", "tanganyika"}) MakeTenant(*methods_, tenant);
    own_ = Furnish(*methods_, "ke", "nyumba", "jamii");
    neighbour_ = Furnish(*methods_, "ke", "jirani", "mshauri");
    foreign_ = Furnish(*methods_, "tanganyika", "siri", "hazina");
  }
  static void TearDownTestSuite() {
    methods_.reset();
    programs_.reset();
  }

  // Of tenant ke: as a whole, by a key and by a workload of its project nyumba, which have one role each, and a person
  // with that role at the project, or with every role at the tenant.
  static std::vector<Caller> Callers(bool with_whole = true) {
    std::vector<Caller> out;
    if (with_whole) out.push_back(Caller::Tenant("ke"));
    std::vector<Roles> each = {{}};
    for (int role = access::v1::Role_MIN + 1; role <= access::v1::Role_MAX; ++role) {
      if (access::v1::Role_IsValid(role)) each.push_back(Roles{static_cast<Role>(role)});
    }
    for (const Roles& roles : each) {
      out.push_back(Caller::Key("ke", "nyumba", {"inference", "portal"}, roles, own_.kid));
      out.push_back(Caller::Workload("ke", "nyumba", "jamii", {"inference", "portal"}, roles));
      if (!roles.empty()) out.push_back(Caller::Person("ke", kSession, {}, {{"nyumba", roles}}));
    }
    // What a role of the tenant's own permits reaches no further.
    Rights custom;
    custom.Add(std::make_shared<const CustomRole>(CustomRole{
        "wide", Permissions({"billing.*.*", "catalog.*.*", "scheduling.*.*", "tenancy.*.*", "*.auditEntries.read"})}));
    out.push_back(Caller::Key("ke", "nyumba", {"inference", "portal"}, custom, own_.kid));
    if (with_whole) out.push_back(Caller::Person("ke", kSession, {Role::ROLE_OWNER, Role::ROLE_AUDITOR}));
    return out;
  }
  static constexpr char kSession[] = "0199f0c2-7b1e-7c3a-9d4e-5f6a7b8c9d0e";

  // Who may do most.
  static std::vector<Caller> Mightiest(bool with_whole = true) {
    std::vector<Caller> out;
    if (with_whole) out.push_back(Caller::Tenant("ke"));
    out.push_back(Caller::Key("ke", "nyumba", {"inference", "portal"}, {Role::ROLE_ADMIN}, own_.kid));
    return out;
  }

  // One thing of each kind.
  static std::vector<Pair> PairsOf(const Belongings& of, bool is_neighbour) {
    std::vector<Pair> out;
    std::set<std::string> kinds;
    for (const std::string& name : of.names) {
      // What a project has in common with its neighbour is the tenant's.
      if (is_neighbour && !name.starts_with("tenants/ke/projects/jirani")) continue;
      const std::string kind = name.substr(0, name.rfind('/'));
      if (!kinds.insert(kind).second && !name.ends_with("/-")) continue;
      const auto absent = AbsentNames(name);
      for (std::size_t i = is_neighbour ? 1 : 0; i < absent.size(); ++i) out.push_back({name, absent[i]});
    }
    return out;
  }
  // One name of nobody beside each of the others', another one in each turn.
  static std::vector<Pair> OneEach(const std::vector<Pair>& pairs, std::size_t turn) {
    std::vector<Pair> out;
    for (auto begin = pairs.begin(); begin != pairs.end();) {
      const auto end =
          std::find_if(begin, pairs.end(), [&](const Pair& pair) { return pair.foreign != begin->foreign; });
      out.push_back(*(begin + static_cast<std::ptrdiff_t>(turn % static_cast<std::size_t>(end - begin))));
      begin = end;
    }
    return out;
  }
  // One name of nobody for each, and the ids: each for one of the callers, because an id that one of them gave to a
  // request of its own is used up for the next; and always beside the same one of nobody, which is used up with it.
  static std::vector<Pair> PairsForFields(const Belongings& of, bool is_neighbour, std::size_t caller,
                                          std::size_t callers) {
    std::vector<Pair> out = OneEach(PairsOf(of, is_neighbour), 0);
    out.push_back({of.kid, AbsentId(of.kid)});
    for (std::size_t i = caller; i < of.ids.size(); i += callers) {
      const std::string& id = of.ids.at(i);
      if (!is_neighbour || id != Uuid::FromName("tenants/ke").ToString()) out.push_back({id, AbsentId(id)});
    }
    return out;
  }

  // What differs from call to call without a reason to hide it.
  static std::string Plain(std::string text) {
    static const std::vector<std::pair<std::regex, std::string>> kVolatile = {
        {std::regex("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4,12}"), "UUID"},
        {std::regex("\\d{4}-\\d\\d-\\d\\dT[0-9:.]+Z"), "TIME"},
        {std::regex("ald_[a-z2-7]{12}_[a-z2-7]{52}_[0-9a-f]{8}"), "SECRET"},
        {std::regex("apiKeys/[a-z2-7]{12}"), "apiKeys/KID"},
        {std::regex("\"(etag|nextPageToken|hash|sequence|createTime|phase)\":\"[^\"]*\""), "\"$1\":\"\""},
        {std::regex("whsec_[A-Za-z0-9+/=]+"), "SECRET"},
        {std::regex("(new|issuer|sink)-\\d+"), "$1-N"},
    };
    for (const auto& [pattern, word] : kVolatile) text = std::regex_replace(text, pattern, word);
    return text;
  }
  // What only the others know, as it would stand in an answer. What was sent comes back in refusals.
  static void ExpectNothingOf(const Belongings& others, const AnyAnswer& answer, const std::string& sent,
                              const std::string& what) {
    std::vector<std::string> secrets = others.ids;
    secrets.insert(secrets.end(), {others.word, others.kid});
    if (&others == &foreign_) secrets.emplace_back("tanganyika");
    std::string told = answer.status.error_message() + answer.status.error_details();
    for (const std::string& message : answer.messages) told += message;
    for (const std::string& secret : secrets) {
      if (secret == Uuid::FromName("tenants/ke").ToString()) continue;
      EXPECT_TRUE(told.find(secret) == std::string::npos || sent.find(secret) != std::string::npos)
          << what << " tells " << secret << ": " << told;
    }
  }

  static void ExpectSame(const std::string& what, const Pair& pair, const AnyAnswer& of_foreign,
                         const AnyAnswer& of_absent) {
    EXPECT_EQ(of_foreign.status.error_code(), of_absent.status.error_code())
        << what << " tells " << pair.foreign << " from " << pair.absent << ": " << of_foreign.status.error_message()
        << " / " << of_absent.status.error_message();
    const auto words = [&](const grpc::Status& status) {
      if (status.ok()) return std::string();
      const Error error = FromGrpc(status);
      return error.reason + ": " + error.message;
    };
    ExpectAlike(what, pair, words(of_foreign.status), words(of_absent.status));
    ASSERT_EQ(of_foreign.messages.size(), of_absent.messages.size()) << what;
    for (std::size_t i = 0; i < of_foreign.messages.size(); ++i) {
      ExpectAlike(what, pair, of_foreign.messages[i], of_absent.messages[i]);
    }
  }
  static void ExpectAlike(const std::string& what, const Pair& pair, const std::string& of_foreign,
                          const std::string& of_absent) {
    if (of_foreign == Alike(of_absent, pair.foreign, pair.absent)) return;  // mostly, and cheaper
    EXPECT_EQ(Plain(of_foreign), Plain(Alike(of_absent, pair.foreign, pair.absent)))
        << what << " tells " << pair.foreign << " from " << pair.absent;
  }

  // The one of ke's own names that the method takes: it does what it is there for, or says why not now.
  static std::string OwnResourceOf(const AnyMethod& method) {
    std::string last;
    for (const std::string& name : own_.names) {
      const AnyAnswer answer = methods_->Ask(method, *methods_->Request(method, name, name), Caller::Tenant("ke"));
      const auto code = answer.status.error_code();
      methods_->Forget(method, answer);
      if (code == grpc::OK || code == grpc::FAILED_PRECONDITION || code == grpc::ALREADY_EXISTS) return name;
      last += "\n  " + name + ": " + answer.status.error_message();
    }
    ADD_FAILURE() << method.name()
                  << " cannot be called by what it declares. It needs what Furnish() makes of its kind, or a sample of "
                     "its messages in sample_requests.cc, so that it can be asked about other tenants' things:"
                  << last;
    return "";
  }
  // A name of ke's as the method takes it, of what is not there.
  static std::string GoneResourceOf(const AnyMethod& method) {
    for (const std::string& name : own_.names) {
      if (AbsentNames(name).empty()) continue;
      const std::string gone = AbsentNames(name).back();
      const AnyAnswer answer = methods_->Ask(method, *methods_->Request(method, gone, gone), Caller::Tenant("ke"));
      if (answer.status.error_code() == grpc::NOT_FOUND) return gone;
    }
    ADD_FAILURE() << method.name() << ": Furnish() makes nothing of its kind";
    return "";
  }

  // Every row that the condition finds in every table, so that a change of one shows.
  static std::map<std::string, std::string> Rows(const std::string& condition, bool with_audit) {
    pqxx::connection connection(programs_->database().owner_url);
    pqxx::nontransaction session(connection);
    std::map<std::string, std::string> out;
    for (const auto& table : session.exec(
             "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
             "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' WHERE c.relkind = 'r'")) {
      const auto name = table[0].as<std::string>();
      if (!with_audit && name.find(".audit_") != std::string::npos) continue;
      out[name] = session
                      .exec1(fmt::format("SELECT COALESCE(string_agg(t::text, E'\\n' ORDER BY t::text), '') FROM {} t "
                                         "WHERE {}",
                                         name, condition))[0]
                      .as<std::string>();
    }
    return out;
  }
  // The same, when what the services do by themselves (events, roll-ups) is done with what was made before.
  static std::map<std::string, std::string> RowsAtRest(const std::string& condition, bool with_audit) {
    auto out = Rows(condition, with_audit);
    for (int still = 0, waited = 0; still < 6 && waited < 120; ++waited) {
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
      auto now = Rows(condition, with_audit);
      still = now == out ? still + 1 : 0;
      out = std::move(now);
    }
    return out;
  }
  // Of quotes, which no method deletes, a tenant may have a thousand that have not expired.
  static void ForgetQuotesBut(const std::vector<std::string>& names) {
    std::string kept;
    for (const std::string& name : names) {
      if (name.find("/quotes/") != std::string::npos) kept += "'" + name.substr(name.rfind('/') + 1) + "', ";
    }
    pqxx::connection connection(programs_->database().owner_url);
    pqxx::nontransaction(connection)
        .exec(fmt::format(
            "DELETE FROM scheduling.quotes WHERE project = 'tenants/ke/projects/nyumba' AND id NOT IN ({}'{}')", kept,
            Uuid::V7().ToString()));
  }
  static std::string IsForeign() { return "tenant_id = '" + Uuid::FromName("tenants/tanganyika").ToString() + "'"; }
  // Not what has only been called after it.
  static std::string IsNeighbours() {
    return "EXISTS (SELECT FROM jsonb_each_text(to_jsonb(t)) AS e WHERE e.key <> 'display_name' AND "
           "(e.value = 'jirani' OR e.value LIKE 'tenants/ke/projects/jirani%'))";
  }

  static inline std::unique_ptr<Programs> programs_;
  static inline std::unique_ptr<AllMethods> methods_;
  static inline Belongings own_, neighbour_, foreign_;
};

std::string As(const AnyMethod& method, const std::string& field, const Caller& caller) {
  return method.name() + " (" + field + ") as " + caller.ToString();
}

TEST_F(ForeignIds, EveryMethodAnswersAsOfWhatDoesNotExist) {
  const auto foreign_before = RowsAtRest(IsForeign(), true);
  const auto neighbour_before = RowsAtRest(IsNeighbours(), false);
  EXPECT_GT(std::ranges::count_if(foreign_before, [](const auto& table) { return !table.second.empty(); }), 15)
      << "the others have something to lose";

  std::set<std::string> closed, above, resources, fields;
  for (const AnyMethod& method : methods_->all()) {
    SCOPED_TRACE(method.name());
    if (!methods_->AreServed(method)) {
      EXPECT_FALSE(method.takes_tenants())
          << method.name() << " admits tenants: its program belongs into Programs, so that it is asked";
      continue;
    }
    if (method.Admits({access::v1::WHO_ABOVE})) {
      // None of ke's own is from above; what is another's is not there.
      for (const Caller& caller : Callers()) {
        for (const Pair& pair : OneEach(PairsOf(foreign_, false), 0)) {
          const AnyAnswer answer = methods_->Ask(method, *methods_->Request(method, pair.foreign, ""), caller);
          ExpectSame(As(method, "its resource", caller), pair, answer,
                     methods_->Ask(method, *methods_->Request(method, pair.absent, ""), caller));
          EXPECT_EQ(answer.status.error_code(), grpc::NOT_FOUND) << As(method, pair.foreign, caller);
        }
        const AnyAnswer own = methods_->Ask(method, *methods_->Request(method, own_.tenant, own_.tenant), caller);
        EXPECT_EQ(own.status.error_code(), grpc::PERMISSION_DENIED) << As(method, own_.tenant, caller);
      }
      above.insert(method.name());
      continue;
    }
    if (!method.takes_tenants()) {
      // Whatever it is asked about, no tenant gets further than to hear that it is not a tenant's to call.
      for (const Caller& caller : Callers()) {
        for (const Pair& pair : {Pair{"tenants/tanganyika", "tenants/qanganyika"},
                                 Pair{foreign_.names[0], AbsentNames(foreign_.names[0])[0]}}) {
          std::vector<AnyAnswer> answers;
          for (const std::string& text : {pair.foreign, pair.absent}) {
            const MessagePtr request = methods_->Request(method, text, text);
            for (const TextField& field : TextFieldsOf(*request)) field.set(*request, text);
            answers.push_back(methods_->Ask(method, *request, caller));
          }
          EXPECT_EQ(answers[0].status.error_code(), grpc::PERMISSION_DENIED) << As(method, "", caller);
          ExpectSame(As(method, "every text", caller), pair, answers[0], answers[1]);
        }
      }
      closed.insert(method.name());
      continue;
    }

    // What its other fields are looked at beside: one of its own; of a method that would delete that, one that is gone.
    const std::string own = !method.takes_resource()  ? ""
                            : method.is_destructive() ? GoneResourceOf(method)
                                                      : OwnResourceOf(method);
    if (method.takes_resource()) {
      for (const bool is_neighbour : {false, true}) {
        const Belongings& others = is_neighbour ? neighbour_ : foreign_;
        std::size_t turn = 0;
        for (const Caller& caller : Callers(!is_neighbour)) {
          for (const Pair& pair : OneEach(PairsOf(others, is_neighbour), turn++)) {
            const MessagePtr of_foreign = methods_->Request(method, pair.foreign, own);
            const MessagePtr of_absent = methods_->Request(method, pair.absent, own);
            const AnyAnswer answer = methods_->Ask(method, *of_foreign, caller);
            const std::string what = As(method, "its resource", caller);
            ExpectSame(what, pair, answer, methods_->Ask(method, *of_absent, caller));
            if (!is_neighbour) {
              EXPECT_EQ(answer.status.error_code(), grpc::NOT_FOUND) << what << " " << pair.foreign;
            }
            ExpectNothingOf(others, answer, ToJson(*of_foreign), what);
          }
        }
      }
      resources.insert(method.name());
    }

    const std::size_t count = TextFieldsOf(*methods_->Request(method, own, own)).size();
    for (std::size_t i = 0; i < count; ++i) {
      ForgetQuotesBut(own_.names);
      for (const bool is_neighbour : {false, true}) {
        const Belongings& others = is_neighbour ? neighbour_ : foreign_;
        const std::vector<Caller> callers = Mightiest(!is_neighbour);
        for (std::size_t c = 0; c < callers.size(); ++c) {
          const Caller& caller = callers.at(c);
          for (const Pair& pair : PairsForFields(others, is_neighbour, c, callers.size())) {
            std::vector<AnyAnswer> answers;
            std::string what;
            for (const std::string& text : {pair.foreign, pair.absent}) {
              const MessagePtr request = methods_->Request(method, own, own);
              const TextField field = TextFieldsOf(*request).at(i);
              what = As(method, field.name, caller);
              field.set(*request, text);
              answers.push_back(methods_->Ask(method, *request, caller));
              methods_->Forget(method, answers.back());
              ExpectNothingOf(others, answers.back(), ToJson(*request), what);
            }
            ExpectSame(what, pair, answers[0], answers[1]);
            fields.insert(what.substr(0, what.find(" as ")));
          }
        }
      }
    }
    if (HasFailure()) break;  // one method's faults fill a screen
  }

  EXPECT_EQ(Rows(IsForeign(), true), foreign_before) << "something of another tenant was changed";
  EXPECT_EQ(Rows(IsNeighbours(), false), neighbour_before) << "something of another project was changed";

  // That each would have done it: what deletes is asked last.
  for (const AnyMethod& method : methods_->all()) {
    if (method.takes_resource() && method.is_destructive()) OwnResourceOf(method);
  }
  std::cout << fmt::format(
      "{} methods: {} take no tenant, {} only one above, {} take a tenant's resource; {} text fields; {} calls\n",
      methods_->all().size(), closed.size(), above.size(), resources.size(), fields.size(), methods_->calls());
}

TEST_F(ForeignIds, APageTokenLeadsNobodyIntoAnothersList) {
  int tried = 0;
  for (const AnyMethod& method : methods_->all()) {
    const auto* token = method.descriptor->input_type()->FindFieldByName("page_token");
    const auto* size = method.descriptor->input_type()->FindFieldByName("page_size");
    if (!method.takes_resource() || token == nullptr || size == nullptr) continue;
    for (const Belongings* others : {&foreign_, &neighbour_}) {
      for (const std::string& name : others->names) {
        const MessagePtr request = NewMessage(*method.descriptor->input_type());
        SetText(*request, method.rule.resource, name);
        request->GetReflection()->SetInt32(request.get(), size, 1);
        const AnyAnswer page = methods_->Ask(method, *request, Caller::Operator());
        if (!page.status.ok()) continue;
        const std::string given = nlohmann::json::parse(page.messages.at(0)).value("nextPageToken", "");
        if (given.empty()) continue;
        ++tried;
        request->GetReflection()->SetInt32(request.get(), size, 0);
        request->GetReflection()->SetString(request.get(), token, given);
        for (const std::string& own : own_.names) {
          SetText(*request, method.rule.resource, own);
          for (const Caller& caller : Mightiest(others == &foreign_)) {
            ExpectNothingOf(*others, methods_->Ask(method, *request, caller), ToJson(*request),
                            As(method, "page_token", caller));
          }
        }
      }
    }
  }
  EXPECT_GE(tried, 8) << "lists of more than a page";
}

// Behind the services: what their roles see of a database with several tenants.
TEST_F(ForeignIds, TheDatabaseItselfShowsARoleOneTenantAtMost) {
  pqxx::connection owner(programs_->database().owner_url);
  pqxx::nontransaction session(owner);
  int looked_at = 0;
  for (const char* area : {"tenancy", "billing", "scheduling"}) {
    PgPool pool(programs_->database().app_config(area));
    for (const auto& row : session.exec_params(
             "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON "
             "a.attrelid = c.oid AND a.attname = 'tenant_id' WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition "
             "AND "
             "c.relforcerowsecurity AND n.nspname = $1",
             area)) {
      const std::string table = std::string(area) + "." + row[0].as<std::string>();
      const auto without = pool.Run<int>([&](GlobalTx& tx) -> Result<int> {
        return tx.Exec("SELECT count(*) FROM " + table)[0][0].template as<int>();
      });
      ASSERT_TRUE(without) << table << ": " << without.error().message;
      EXPECT_EQ(*without, 0) << table << " shows rows without a tenant";
      const TenantId ke = *TenantId::FromName("tenants/ke");
      const auto foreign = pool.Run<int>(ke, [&](TenantTx& tx) -> Result<int> {
        return tx.Exec("SELECT count(*) FROM " + table + " WHERE tenant_id <> $1", ke)[0][0].template as<int>();
      });
      ASSERT_TRUE(foreign) << table;
      EXPECT_EQ(*foreign, 0) << table << " shows a tenant the rows of others";
      ++looked_at;
    }
  }
  EXPECT_GE(looked_at, 20);
}

}  // namespace
}  // namespace allod::foreign_ids_test
