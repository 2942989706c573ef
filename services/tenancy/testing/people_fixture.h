// The RPCs of members, sessions and sign-in over a real server and channel, on the fake stores.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

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

namespace allod::tenancy {

class PeopleServiceTest : public testing::Test {
 protected:
  using Providers = v1::IdentityProviderService::Stub;
  using Members = v1::MemberService::Stub;
  using Sessions = v1::SessionService::Stub;
  using Identities = v1::IdentityService::Stub;

  static constexpr char kProvider[] = "tenants/ke/identityProviders/corp";
  static constexpr char kSecret[] = "the-secret-of-the-client";
  static inline const Caller kGateway = Caller::Service("gateway");

  static Caller PersonWith(Roles roles, std::vector<ProjectRoles> at_projects = {}) {
    return Caller::Person("ke", Uuid::V7().ToString(), roles, std::move(at_projects));
  }
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
    server_->Stop(std::chrono::seconds(1));
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
    *session.mutable_expire_time() = ToTimestamp(clock_.Now() + std::chrono::hours(12));
    const Digest256 digest = HmacSha256("", token);
    request.set_id_token_sha256(digest.data(), digest.size());
    clock_.Advance(std::chrono::milliseconds(1));
    return request;
  }
  Result<v1::IdentityProvider> Create(const v1::CreateIdentityProviderRequest& request,
                                      const Caller& caller = Caller::Operator()) {
    return CallUnary(*provider_stub_, &Providers::CreateIdentityProvider, request, caller, std::chrono::seconds(5));
  }
  Result<v1::IdentityProvider> Update(const v1::IdentityProvider& provider, bool validate_only = false,
                                      const Caller& caller = Caller::Operator()) {
    v1::UpdateIdentityProviderRequest request;
    *request.mutable_identity_provider() = provider;
    request.set_validate_only(validate_only);
    return CallUnary(*provider_stub_, &Providers::UpdateIdentityProvider, request, caller, std::chrono::seconds(5));
  }
  Result<v1::Member> Create(const v1::CreateMemberRequest& request, const Caller& caller = Caller::Operator()) {
    return CallUnary(*member_stub_, &Members::CreateMember, request, caller, std::chrono::seconds(5));
  }
  Result<v1::Member> Update(const v1::Member& member, const Caller& caller = Caller::Operator(),
                            bool validate_only = false) {
    v1::UpdateMemberRequest request;
    *request.mutable_member() = member;
    request.set_validate_only(validate_only);
    return CallUnary(*member_stub_, &Members::UpdateMember, request, caller, std::chrono::seconds(5));
  }
  Result<google::protobuf::Empty> Delete(const std::string& id, const Caller& caller = Caller::Operator()) {
    v1::DeleteMemberRequest request;
    request.set_name("tenants/ke/members/" + id);
    return CallUnary(*member_stub_, &Members::DeleteMember, request, caller, std::chrono::seconds(5));
  }
  Result<v1::Session> Begin(const v1::BeginSessionRequest& request, const Caller& caller = kGateway) {
    return CallUnary(*session_stub_, &Sessions::BeginSession, request, caller, std::chrono::seconds(5));
  }
  Result<v1::ListSessionsResponse> List(const Caller& caller, const std::string& subject = "") {
    v1::ListSessionsRequest request;
    request.set_parent("tenants/ke");
    if (!subject.empty()) request.set_identity_provider(kProvider);
    request.set_subject(subject);
    return CallUnary(*session_stub_, &Sessions::ListSessions, request, caller, std::chrono::seconds(5));
  }
  Result<v1::EndSessionsResponse> End(const v1::EndSessionsRequest& request, const Caller& caller) {
    return CallUnary(*session_stub_, &Sessions::EndSessions, request, caller, std::chrono::seconds(5));
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
      EXPECT_TRUE(CallUnary(stub_, &Identities::AcknowledgeIdentities, request, Caller::Service("gateway"),
                            std::chrono::seconds(5)));
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

}  // namespace allod::tenancy
