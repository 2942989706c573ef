// The RPCs of members, sessions and sign-in over a real server and channel, on the fake stores.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "services/common/digest.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "services/common/rpc/timestamp.h"
#include "services/tenancy/identity_provider_service.h"
#include "services/tenancy/member_service.h"
#include "services/tenancy/session_service.h"
#include "services/tenancy/testing/fake_identity_store.h"
#include "services/tenancy/testing/fake_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace allod::tenancy::people_service_test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using Providers = v1::IdentityProviderService::Stub;
using Members = v1::MemberService::Stub;
using Sessions = v1::SessionService::Stub;
using Identities = v1::IdentityService::Stub;

constexpr char kProvider[] = "tenants/ke/identityProviders/corp";
constexpr char kSecret[] = "the-secret-of-the-client";
const Caller kGateway = Caller::Service("gateway");

Caller PersonWith(Roles roles, std::vector<ProjectRoles> at_projects = {}) {
  return Caller::Person("ke", Uuid::V7().ToString(), roles, std::move(at_projects));
}

class PeopleServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* id : {"ke", "ug"}) {
      ASSERT_TRUE(tenants_.CreateTenant({id, id, "KES", {id}, TenantState::kActive, Time()}, {}));
      ASSERT_TRUE(tenants_.CreateProject({id, "desk", "Desk", Time()}, {}));
    }
    auto server = Server::Start({.listen = address_}, {&identities_, &providers_, &members_, &sessions_});
    ASSERT_TRUE(server) << server.error().message;
    server_ = *std::move(server);
    const auto channel = MakeChannel(address_);
    provider_stub_ = v1::IdentityProviderService::NewStub(channel);
    member_stub_ = v1::MemberService::NewStub(channel);
    session_stub_ = v1::SessionService::NewStub(channel);
    identity_stub_ = v1::IdentityService::NewStub(channel);
    feed_.Start();
  }
  void TearDown() override {
    feed_.Stop();
    server_->Stop(1s);
  }

  static v1::CreateIdentityProviderRequest NewProvider() {
    v1::CreateIdentityProviderRequest request;
    request.set_parent("tenants/ke");
    request.set_identity_provider_id("corp");
    request.mutable_identity_provider()->set_display_name("Accounts");
    request.mutable_identity_provider()->set_issuer("https://corp.example");
    request.mutable_identity_provider()->mutable_sign_in()->set_client_id("allod");
    request.mutable_identity_provider()->mutable_sign_in()->set_client_secret(kSecret);
    return request;
  }
  static v1::CreateMemberRequest NewMember(const std::string& id, access::v1::Role role,
                                           const std::string& place = "tenants/ke") {
    v1::CreateMemberRequest request;
    request.set_parent("tenants/ke");
    request.set_member_id(id);
    v1::Member& member = *request.mutable_member();
    member.set_display_name("Achieng");
    member.set_identity_provider(kProvider);
    auto& claim = *member.add_claims();
    claim.set_claim("email");
    claim.set_equals(id + "@ke.example");
    auto& grant = *member.add_grants();
    grant.set_resource(place);
    grant.add_roles(role);
    return request;
  }
  v1::BeginSessionRequest NewSession(const std::string& token, std::vector<std::string> members) {
    v1::BeginSessionRequest request;
    request.set_parent("tenants/ke");
    v1::Session& session = *request.mutable_session();
    session.set_identity_provider(kProvider);
    session.set_subject("4711");
    session.set_display_name("Achieng O.");
    for (const std::string& id : members) session.add_members("tenants/ke/members/" + id);
    session.set_client(v1::Session::CLIENT_BROWSER);
    session.set_client_address("192.0.2.7");
    session.set_user_agent("Mozilla/5.0");
    *session.mutable_expire_time() = ToTimestamp(clock_.Now() + 12h);
    const Digest256 digest = HmacSha256("", token);
    request.set_id_token_sha256(digest.data(), digest.size());
    clock_.Advance(1ms);
    return request;
  }
  Result<v1::IdentityProvider> Create(const v1::CreateIdentityProviderRequest& request,
                                      const Caller& caller = Caller::Operator()) {
    return CallUnary(*provider_stub_, &Providers::CreateIdentityProvider, request, caller, 5s);
  }
  Result<v1::IdentityProvider> Update(const v1::IdentityProvider& provider, bool validate_only = false,
                                      const Caller& caller = Caller::Operator()) {
    v1::UpdateIdentityProviderRequest request;
    *request.mutable_identity_provider() = provider;
    request.set_validate_only(validate_only);
    return CallUnary(*provider_stub_, &Providers::UpdateIdentityProvider, request, caller, 5s);
  }
  Result<v1::Member> Create(const v1::CreateMemberRequest& request, const Caller& caller = Caller::Operator()) {
    return CallUnary(*member_stub_, &Members::CreateMember, request, caller, 5s);
  }
  Result<v1::Member> Update(const v1::Member& member, const Caller& caller = Caller::Operator(),
                            bool validate_only = false) {
    v1::UpdateMemberRequest request;
    *request.mutable_member() = member;
    request.set_validate_only(validate_only);
    return CallUnary(*member_stub_, &Members::UpdateMember, request, caller, 5s);
  }
  Result<google::protobuf::Empty> Delete(const std::string& id, const Caller& caller = Caller::Operator()) {
    v1::DeleteMemberRequest request;
    request.set_name("tenants/ke/members/" + id);
    return CallUnary(*member_stub_, &Members::DeleteMember, request, caller, 5s);
  }
  Result<v1::Session> Begin(const v1::BeginSessionRequest& request, const Caller& caller = kGateway) {
    return CallUnary(*session_stub_, &Sessions::BeginSession, request, caller, 5s);
  }
  Result<v1::ListSessionsResponse> List(const Caller& caller, const std::string& subject = "") {
    v1::ListSessionsRequest request;
    request.set_parent("tenants/ke");
    if (!subject.empty()) request.set_identity_provider(kProvider);
    request.set_subject(subject);
    return CallUnary(*session_stub_, &Sessions::ListSessions, request, caller, 5s);
  }
  Result<v1::EndSessionsResponse> End(const v1::EndSessionsRequest& request, const Caller& caller) {
    return CallUnary(*session_stub_, &Sessions::EndSessions, request, caller, 5s);
  }
  static v1::EndSessionsRequest Ending(const std::string& name) {
    v1::EndSessionsRequest request;
    request.set_parent("tenants/ke");
    request.set_session(name);
    return request;
  }
  template <typename T>
  static std::string Why(const Result<T>& result) {
    return result ? "" : result.error().reason;
  }

  // A gateway that follows what it is told, and acknowledges when it is told to.
  class Gateway {
   public:
    explicit Gateway(Identities& stub) : stub_(stub) {
      Caller::Service("gateway").AttachTo(context_);
      watch_.set_watcher_id(Uuid::V7().ToString());
      reader_ = stub.WatchIdentities(&context_, watch_);
    }
    ~Gateway() {
      context_.TryCancel();
      reader_->Finish();
    }
    // Of ke, as the next message has it.
    v1::WatchIdentitiesResponse::TenantIdentities Read() {
      while (reader_->Read(&message_)) {
        for (const auto& tenant : message_.tenants()) {
          if (tenant.tenant() == "tenants/ke") return tenant;
        }
      }
      ADD_FAILURE() << "the stream ended";
      return {};
    }
    void Acknowledge() {
      v1::AcknowledgeIdentitiesRequest request;
      request.set_watcher_id(watch_.watcher_id());
      request.set_version(message_.version());
      EXPECT_TRUE(CallUnary(stub_, &Identities::AcknowledgeIdentities, request, Caller::Service("gateway"), 5s));
    }

   private:
    Identities& stub_;
    grpc::ClientContext context_;
    v1::WatchIdentitiesRequest watch_;
    std::unique_ptr<grpc::ClientReader<v1::WatchIdentitiesResponse>> reader_;
    v1::WatchIdentitiesResponse message_;
  };

  FakeClock clock_;
  FakeStore tenants_;
  FakeIdentityStore store_{tenants_};
  IdentityFeed feed_{store_, clock_};
  CallGates gates_;
  const ClientSecrets secrets_{"a pepper of some length"};
  IdentityServiceImpl identities_{feed_, secrets_};
  IdentityProviderServiceImpl providers_{store_, identities_, secrets_, clock_, gates_};
  MemberServiceImpl members_{store_, store_, tenants_, identities_, clock_, gates_};
  SessionServiceImpl sessions_{store_, identities_, clock_, gates_};
  const TempDir sockets_;
  const std::string address_ = "unix:" + (sockets_ / "s.sock").string();
  std::unique_ptr<Server> server_;
  std::unique_ptr<Providers> provider_stub_;
  std::unique_ptr<Members> member_stub_;
  std::unique_ptr<Sessions> session_stub_;
  std::unique_ptr<Identities> identity_stub_;
};

TEST_F(PeopleServiceTest, AClientsSecretIsTakenKeptReplacedAndShownToGatewaysOnly) {
  auto provider = Create(NewProvider(), Caller::Tenant("ke"));
  ASSERT_TRUE(provider) << provider.error().message;
  EXPECT_TRUE(provider->sign_in().has_client_secret());
  EXPECT_THAT(provider->SerializeAsString(), Not(HasSubstr(kSecret)));
  EXPECT_THAT(store_.GetProvider("ke", "corp")->sign_in->sealed_secret, Not(HasSubstr(kSecret)));
  EXPECT_EQ(Create(NewProvider())->etag(), provider->etag()) << "the same again";
  Gateway gateway(*identity_stub_);
  const auto secret_told = [&] {
    const auto told = gateway.Read();
    EXPECT_FALSE(told.identity_providers(0).sign_in().client_secret() == kSecret);
    const auto found = told.client_secrets().find(kProvider);
    gateway.Acknowledge();
    return found == told.client_secrets().end() ? "none" : found->second;
  };
  EXPECT_EQ(secret_told(), kSecret);
  provider->mutable_sign_in()->set_client_id("other");
  ASSERT_TRUE(provider = Update(*provider)) << provider.error().message;
  EXPECT_EQ(secret_told(), kSecret) << "it says nothing of the secret";
  EXPECT_TRUE(provider->sign_in().has_client_secret());
  provider->mutable_sign_in()->set_client_secret("new");
  EXPECT_EQ(Update(*provider, true)->etag(), "") << "it would be another";
  ASSERT_TRUE(provider = Update(*provider));
  EXPECT_EQ(secret_told(), "new");
  provider->mutable_sign_in()->set_client_secret("new");
  EXPECT_EQ(Update(*provider, true)->etag(), provider->etag()) << "it would be as it is";
  provider->mutable_sign_in()->set_client_secret("newer");
  provider->mutable_sign_in()->set_clear_client_secret(true);
  EXPECT_EQ(Why(Update(*provider)), "INVALID_SIGN_IN");
  provider->mutable_sign_in()->set_client_secret("");
  ASSERT_TRUE(provider = Update(*provider));
  EXPECT_EQ(secret_told(), "none");
  EXPECT_FALSE(provider->sign_in().has_client_secret());
  auto bad = NewProvider();
  bad.mutable_identity_provider()->mutable_sign_in()->set_client_secret("a\nb");
  EXPECT_EQ(Why(Create(bad)), "INVALID_SIGN_IN");
}

TEST_F(PeopleServiceTest, ASecretThatCannotBeOpenedIsNotShown) {
  auto request = NewProvider();
  ASSERT_TRUE(Create(request));
  IdentityProvider moved = *store_.GetProvider("ke", "corp");
  moved.id = "copy";
  moved.issuer = "https://copy.example";
  ASSERT_TRUE(store_.CreateProvider(moved, {}));
  feed_.Notify();
  Gateway gateway(*identity_stub_);
  auto told = gateway.Read();
  while (told.identity_providers_size() < 2) told = gateway.Read();
  EXPECT_EQ(told.client_secrets_size(), 1) << "a sealed secret opens under its own provider's name only";
}

TEST_F(PeopleServiceTest, MembersAreMadeReadChangedAndDeleted) {
  EXPECT_EQ(Why(Create(NewMember("achieng", access::v1::ROLE_OWNER))), "NOT_FOUND") << "no provider";
  ASSERT_TRUE(Create(NewProvider()));
  const auto owner = Create(NewMember("owner", access::v1::ROLE_OWNER), Caller::Tenant("ke"));
  ASSERT_TRUE(owner) << owner.error().message;
  EXPECT_EQ(owner->name(), "tenants/ke/members/owner");
  const auto made = Create(NewMember("achieng", access::v1::ROLE_VIEWER, "tenants/ke/projects/desk"));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->grants(0).resource(), "tenants/ke/projects/desk");
  EXPECT_EQ(Create(NewMember("achieng", access::v1::ROLE_VIEWER, "tenants/ke/projects/desk"))->uid(), made->uid());
  EXPECT_EQ(Why(Create(NewMember("achieng", access::v1::ROLE_ADMIN))), "ALREADY_EXISTS");
  v1::Member wanted = *made;
  wanted.set_disabled(true);
  ASSERT_TRUE(Update(wanted, Caller::Operator(), true));
  EXPECT_FALSE(store_.GetMember("ke", "achieng")->disabled) << "it was judged only";
  const auto changed = Update(wanted);
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_TRUE(changed->disabled());
  EXPECT_EQ(changed->uid(), made->uid());
  EXPECT_EQ(Why(Update(wanted)), "ETAG_MISMATCH");
  v1::ListMembersRequest list;
  list.set_parent("tenants/ke");
  EXPECT_EQ(CallUnary(*member_stub_, &Members::ListMembers, list, Caller::Tenant("ke"), 5s)->members_size(), 2);
  v1::GetMemberRequest get;
  get.set_name("tenants/ke/members/achieng");
  EXPECT_EQ(CallUnary(*member_stub_, &Members::GetMember, get, Caller::Tenant("ke"), 5s)->uid(), made->uid());
  EXPECT_EQ(Why(CallUnary(*member_stub_, &Members::GetMember, get, Caller::Tenant("ug"), 5s)), "NOT_FOUND");
  EXPECT_TRUE(Delete("achieng"));
  EXPECT_EQ(Why(Delete("achieng")), "NOT_FOUND");
  EXPECT_EQ(Why(Delete("owner")), "LAST_OWNER") << "an operator as well";
  v1::Member demoted = *owner;
  demoted.mutable_grants(0)->set_roles(0, access::v1::ROLE_ADMIN);
  EXPECT_EQ(Why(Update(demoted, Caller::Operator(), true)), "LAST_OWNER");
  v1::IdentityProvider provider = *Create(NewProvider());
  provider.set_disabled(true);
  EXPECT_EQ(Why(Update(provider, true)), "LAST_OWNER");
  provider.set_disabled(false);
  provider.clear_sign_in();
  provider.add_audiences("allod");
  EXPECT_EQ(Why(Update(provider, true)), "IDENTITY_PROVIDER_IN_USE");
  EXPECT_EQ(Why(Update(provider)), "IDENTITY_PROVIDER_IN_USE");
}

TEST_F(PeopleServiceTest, ADryRunOfAMemberChangesNothing) {
  ASSERT_TRUE(Create(NewProvider()));
  auto request = NewMember("achieng", access::v1::ROLE_OWNER);
  request.set_validate_only(true);
  ASSERT_TRUE(Create(request));
  EXPECT_FALSE(store_.GetMember("ke", "achieng"));
  request = NewMember("achieng", access::v1::ROLE_VIEWER, "tenants/ke/projects/none");
  request.set_validate_only(true);
  EXPECT_EQ(Why(Create(request)), "NOT_FOUND");
}

TEST_F(PeopleServiceTest, HowOwnersSignInTheyChangeThemselves) {
  const auto provider = Create(NewProvider());
  ASSERT_TRUE(provider) << provider.error().message;
  ASSERT_TRUE(Create(NewMember("owner", access::v1::ROLE_OWNER)));
  const Caller admin = PersonWith({Role::ROLE_ADMIN});
  v1::IdentityProvider changed = *provider;
  changed.mutable_sign_in()->set_client_id("another");
  for (const bool validate_only : {true, false}) {
    EXPECT_EQ(Why(Update(changed, validate_only, admin)), "ROLE_NOT_HELD");
  }
  changed = *provider;
  changed.set_display_name("Corp");
  const auto named = Update(changed, false, admin);
  ASSERT_TRUE(named) << "that changes nothing of how they sign in: " << named.error().message;
  changed = *named;
  changed.mutable_sign_in()->set_client_id("another");
  const auto moved = Update(changed, false, PersonWith({Role::ROLE_OWNER}));
  EXPECT_TRUE(moved) << moved.error().message;
}

TEST_F(PeopleServiceTest, NobodyGivesOrTakesWhatHeDoesNotHold) {
  ASSERT_TRUE(Create(NewProvider()));
  const Caller admin = PersonWith({Role::ROLE_ADMIN});
  const Caller owner = PersonWith({Role::ROLE_OWNER});
  EXPECT_EQ(Why(Create(NewMember("a", access::v1::ROLE_OWNER), admin)), "ROLE_NOT_HELD");
  const auto made = Create(NewMember("a", access::v1::ROLE_OWNER), owner);
  ASSERT_TRUE(made) << made.error().message;
  ASSERT_TRUE(Create(NewMember("b", access::v1::ROLE_OWNER), owner));
  const auto viewer = Create(NewMember("c", access::v1::ROLE_VIEWER, "tenants/ke/projects/desk"), admin);
  ASSERT_TRUE(viewer) << "what holds at the tenant holds at its projects: " << viewer.error().message;
  // Neither the roles nor whom they are for.
  v1::Member demoted = *made;
  demoted.mutable_grants(0)->set_roles(0, access::v1::ROLE_VIEWER);
  EXPECT_EQ(Why(Update(demoted, admin)), "ROLE_NOT_HELD");
  EXPECT_EQ(Why(Update(demoted, admin, true)), "ROLE_NOT_HELD");
  v1::Member taken = *made;
  taken.mutable_claims(0)->set_equals("admin@ke.example");
  EXPECT_EQ(Why(Update(taken, admin)), "ROLE_NOT_HELD");
  EXPECT_EQ(Why(Delete("a", admin)), "ROLE_NOT_HELD");
  v1::Member promoted = *viewer;
  promoted.mutable_grants(0)->set_roles(0, access::v1::ROLE_ADMIN);
  EXPECT_EQ(Why(Update(promoted, admin)), "");
  EXPECT_EQ(Why(Delete("c", admin)), "");
  EXPECT_EQ(Why(Delete("a", owner)), "");
  // Others have no say.
  const auto request = NewMember("d", access::v1::ROLE_VIEWER);
  EXPECT_EQ(Why(Create(request, PersonWith({Role::ROLE_DEVELOPER}))), "PERMISSION_MISSING");
  EXPECT_EQ(Why(Create(request, PersonWith({}, {{"desk", {Role::ROLE_ADMIN}}}))), "PROJECT_KEY");
  EXPECT_EQ(Why(Create(request, Caller::Key("ke", "desk", {"portal"}))), "PROJECT_KEY");
  EXPECT_EQ(Why(Create(request, Caller::Workload("ke", "desk", "ci", {"portal"}, {Role::ROLE_ADMIN}))), "PROJECT_KEY");
  EXPECT_EQ(Why(Create(request, Caller::Tenant("ug"))), "NOT_FOUND");
  EXPECT_EQ(Why(Create(request, Caller::Person("ug", Uuid::V7().ToString(), {Role::ROLE_OWNER}))), "NOT_FOUND");
}

TEST_F(PeopleServiceTest, OfTwoOwnersWhoDemoteEachOtherOneIsRefused) {
  ASSERT_TRUE(Create(NewProvider()));
  auto first = *Create(NewMember("a", access::v1::ROLE_OWNER));
  auto second = *Create(NewMember("b", access::v1::ROLE_OWNER));
  for (v1::Member* member : {&first, &second}) member->mutable_grants(0)->set_roles(0, access::v1::ROLE_ADMIN);
  std::string why, other_why;
  std::thread other([&] { other_why = Why(Update(second, PersonWith({Role::ROLE_OWNER}))); });
  why = Why(Update(first, PersonWith({Role::ROLE_OWNER})));
  other.join();
  EXPECT_EQ(why + other_why, "LAST_OWNER");
}

TEST_F(PeopleServiceTest, RefusesMembersThatMakeNoSense) {
  ASSERT_TRUE(Create(NewProvider()));
  const auto refused = [&](const std::function<void(v1::Member&)>& spoil) {
    auto request = NewMember("a", access::v1::ROLE_VIEWER);
    spoil(*request.mutable_member());
    return Why(Create(request));
  };
  EXPECT_EQ(refused([](v1::Member& m) { m.clear_claims(); }), "MEMBER_TOO_WIDE");
  EXPECT_EQ(refused([](v1::Member& m) { m.mutable_claims(0)->clear_match(); }), "INVALID_CLAIM");
  EXPECT_EQ(refused([](v1::Member& m) { m.mutable_claims(0)->set_prefix("a"); }), "INVALID_CLAIM");
  EXPECT_EQ(refused([](v1::Member& m) { m.clear_grants(); }), "INVALID_GRANT");
  for (const char* place : {"", "tenants/ug", "tenants/ug/projects/desk", "tenants/ke/projects/-", "projects/desk",
                            "tenants/ke/projects/desk/instances/i"}) {
    EXPECT_EQ(refused([&](v1::Member& m) { m.mutable_grants(0)->set_resource(place); }), "INVALID_GRANT") << place;
  }
  EXPECT_EQ(refused([](v1::Member& m) { m.mutable_grants(0)->set_roles(0, static_cast<Role>(99)); }), "INVALID_ROLE");
  EXPECT_EQ(refused([](v1::Member& m) { m.mutable_grants(0)->set_roles(0, access::v1::ROLE_OPERATOR); }),
            "INVALID_ROLE");
  EXPECT_EQ(refused([](v1::Member& m) { m.set_identity_provider("tenants/ug/identityProviders/corp"); }),
            "INVALID_NAME");
  EXPECT_EQ(refused([](v1::Member& m) { m.clear_display_name(); }), "INVALID_TEXT");
  auto request = NewMember("No Id", access::v1::ROLE_VIEWER);
  EXPECT_EQ(Why(Create(request)), "INVALID_ID");
  request = NewMember("a", access::v1::ROLE_VIEWER);
  request.set_request_id("no uuid");
  EXPECT_EQ(Why(Create(request)), "INVALID_REQUEST_ID");
}

TEST_F(PeopleServiceTest, SessionsBeginAreListedAndEnd) {
  ASSERT_TRUE(Create(NewProvider()));
  ASSERT_TRUE(Create(NewMember("achieng", access::v1::ROLE_OWNER)));
  const auto begun = Begin(NewSession("t1", {"achieng", "gone"}));
  ASSERT_TRUE(begun) << begun.error().message;
  ASSERT_EQ(begun->members_size(), 1);
  EXPECT_EQ(begun->members(0), "tenants/ke/members/achieng");
  EXPECT_EQ(begun->client(), v1::Session::CLIENT_BROWSER);
  EXPECT_EQ(Why(Begin(NewSession("t1", {"achieng"}))), "TOKEN_REPLAYED");
  EXPECT_EQ(Why(Begin(NewSession("t2", {"gone"}))), "NO_SUCH_MEMBER");
  const auto second = Begin(NewSession("t3", {"achieng"}));
  ASSERT_TRUE(second) << second.error().message;
  const Caller owner = PersonWith({Role::ROLE_OWNER});
  const auto listed = List(owner);
  ASSERT_EQ(listed->sessions_size(), 2);
  EXPECT_EQ(listed->sessions(0).name(), second->name()) << "the newest first";
  EXPECT_EQ(List(owner, "4711")->sessions_size(), 2);
  EXPECT_EQ(List(owner, "4712")->sessions_size(), 0);

  EXPECT_EQ(End(Ending(begun->name()), owner)->ended(), 1);
  EXPECT_EQ(End(Ending(begun->name()), owner)->ended(), 0);
  EXPECT_EQ(Why(End(Ending("tenants/ke/sessions/" + Uuid::V7().ToString()), owner)), "NOT_FOUND");
  v1::EndSessionsRequest all;
  all.set_parent("tenants/ke");
  all.mutable_person()->set_identity_provider(kProvider);
  all.mutable_person()->set_subject("4711");
  EXPECT_EQ(End(all, kGateway)->ended(), 1) << "who signs out is the gateway's to say";
  EXPECT_EQ(List(owner)->sessions_size(), 0);
}

TEST_F(PeopleServiceTest, SessionsAreBegunByGatewaysAndEndedByThoseWhoMay) {
  ASSERT_TRUE(Create(NewProvider()));
  ASSERT_TRUE(Create(NewMember("achieng", access::v1::ROLE_OWNER)));
  for (const Caller& caller : {Caller::Operator(), Caller::Tenant("ke"), PersonWith({Role::ROLE_OWNER})}) {
    EXPECT_EQ(Why(Begin(NewSession("t", {"achieng"}), caller)), "NOT_ALLOWED") << caller.ToString();
  }
  const auto begun = Begin(NewSession("t", {"achieng"}));
  ASSERT_TRUE(begun) << begun.error().message;
  EXPECT_EQ(Why(List(PersonWith({Role::ROLE_DEVELOPER}))), "PERMISSION_MISSING");
  EXPECT_EQ(Why(List(PersonWith({Role::ROLE_AUDITOR}))), "");
  const auto ending = Ending(begun->name());
  EXPECT_EQ(Why(End(ending, PersonWith({Role::ROLE_AUDITOR}))), "PERMISSION_MISSING");
  EXPECT_EQ(Why(End(ending, Caller::Key("ke", "desk", {"portal"}))), "PROJECT_KEY");
  EXPECT_EQ(Why(End(ending, Caller::Tenant("ug"))), "NOT_FOUND");
  EXPECT_EQ(Why(End(ending, PersonWith({Role::ROLE_ADMIN}))), "");
}

TEST_F(PeopleServiceTest, RefusesSessionsThatMakeNoSense) {
  ASSERT_TRUE(Create(NewProvider()));
  ASSERT_TRUE(Create(NewMember("achieng", access::v1::ROLE_OWNER)));
  const auto refused = [&](const std::function<void(v1::BeginSessionRequest&)>& spoil) {
    auto request = NewSession("t", {"achieng"});
    spoil(request);
    return Why(Begin(request));
  };
  EXPECT_EQ(refused([](auto& r) { r.set_id_token_sha256("short"); }), "INVALID_DIGEST");
  EXPECT_EQ(refused([](auto& r) { r.mutable_session()->clear_members(); }), "INVALID_MEMBER");
  EXPECT_EQ(refused([](auto& r) { r.mutable_session()->set_members(0, "tenants/ug/members/achieng"); }),
            "INVALID_NAME");
  EXPECT_EQ(refused([](auto& r) { r.mutable_session()->clear_subject(); }), "INVALID_SUBJECT");
  EXPECT_EQ(refused([](auto& r) { r.mutable_session()->clear_client(); }), "INVALID_CLIENT");
  EXPECT_EQ(refused([](auto& r) { r.mutable_session()->clear_expire_time(); }), "INVALID_EXPIRE_TIME");
  EXPECT_EQ(refused([&](auto& r) { *r.mutable_session()->mutable_expire_time() = ToTimestamp(clock_.Now() + 25h); }),
            "INVALID_EXPIRE_TIME");
  v1::EndSessionsRequest end;
  end.set_parent("tenants/ke");
  EXPECT_EQ(Why(End(end, kGateway)), "INVALID_SESSION");
  end.set_session("tenants/ug/sessions/" + Uuid::V7().ToString());
  EXPECT_EQ(Why(End(end, kGateway)), "INVALID_NAME");
  end.mutable_person()->set_identity_provider(kProvider);
  EXPECT_EQ(Why(End(end, kGateway)), "INVALID_SESSION") << "one of the two";
  end.clear_session();
  EXPECT_EQ(Why(End(end, kGateway)), "INVALID_SUBJECT");
  end.mutable_person()->set_subject(std::string(256, 's'));
  EXPECT_EQ(Why(End(end, kGateway)), "INVALID_SUBJECT");
  v1::ListSessionsRequest list;
  list.set_parent("tenants/ke");
  list.set_page_token(EncodePageToken("tenants/ke/sessions  ", "no uuid"));
  EXPECT_EQ(Why(CallUnary(*session_stub_, &Sessions::ListSessions, list, kGateway, 5s)), "INVALID_PAGE_TOKEN");
  list.clear_page_token();
  list.set_subject("4711");
  EXPECT_EQ(Why(CallUnary(*session_stub_, &Sessions::ListSessions, list, kGateway, 5s)), "INVALID_NAME")
      << "of which provider?";
  tenants_.Suspend("ke");
  EXPECT_EQ(refused([](auto&) {}), "TENANT_SUSPENDED");
}

TEST_F(PeopleServiceTest, GatewaysHearOfEndedSessionsAndMembersBeforeTheChangeReturns) {
  ASSERT_TRUE(Create(NewProvider()));
  const auto member = Create(NewMember("achieng", access::v1::ROLE_VIEWER));
  const auto begun = Begin(NewSession("t", {"achieng"}));
  ASSERT_TRUE(begun) << begun.error().message;
  Gateway gateway(*identity_stub_);
  auto told = gateway.Read();
  EXPECT_EQ(told.members_size(), 1);
  EXPECT_EQ(told.ended_sessions_size(), 0);
  gateway.Acknowledge();
  const auto before_it_returns = [&](const std::function<void()>& change) {
    std::atomic<bool> returned = false;
    std::thread changer([&] {
      change();
      returned = true;
    });
    told = gateway.Read();
    EXPECT_FALSE(returned) << "before it is acknowledged";
    gateway.Acknowledge();
    changer.join();
  };
  before_it_returns([&] { EXPECT_EQ(End(Ending(begun->name()), kGateway)->ended(), 1); });
  ASSERT_EQ(told.ended_sessions_size(), 1);
  std::array<std::uint8_t, 16> bytes{};
  ASSERT_EQ(told.ended_sessions(0).size(), bytes.size());
  std::ranges::copy(told.ended_sessions(0), bytes.begin());
  EXPECT_EQ("tenants/ke/sessions/" + Uuid::FromBytes(bytes).ToString(), begun->name());
  before_it_returns([&] { EXPECT_TRUE(Delete("achieng")); });
  EXPECT_EQ(told.members_size(), 0);
}

TEST_F(PeopleServiceTest, ACrowdThatSignsInLeavesOtherTenantsAnswered) {
  ASSERT_TRUE(Create(NewProvider()));
  ASSERT_TRUE(Create(NewMember("achieng", access::v1::ROLE_OWNER)));
  std::vector<CallGate::Pass> crowd;
  for (int i = 0; i < 20; ++i) crowd.push_back(gates_.mutations.Enter(Caller::Tenant("ke")).value());
  EXPECT_EQ(Why(Begin(NewSession("t", {"achieng"}))), "TOO_MANY_CALLS") << "it counts as the tenant's";
  auto other = NewSession("t", {});
  other.set_parent("tenants/ug");
  other.mutable_session()->set_identity_provider("tenants/ug/identityProviders/corp");
  other.mutable_session()->add_members("tenants/ug/members/achieng");
  EXPECT_EQ(Why(Begin(other)), "NOT_FOUND") << "it is looked for";
}

}  // namespace
}  // namespace allod::tenancy::people_service_test
