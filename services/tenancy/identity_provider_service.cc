#include "services/tenancy/identity_provider_service.h"

#include <algorithm>

#include "services/common/rpc/request_id.h"
#include "services/common/rpc/server.h"
#include "services/tenancy/convert_identity.h"
#include "services/tenancy/maker.h"

namespace allod::tenancy {
namespace {

PageRequest AllProviders() { return {"", kProvidersPerTenantMax, ""}; }

}  // namespace

Result<IdentityProvider> IdentityProviderServiceImpl::JudgeCreation(const IdentityProvider& wanted) {
  ALLOD_TRY(const auto others, store_.ListProviders(wanted.tenant, AllProviders()));
  for (const IdentityProvider& other : others.items) {
    if (other.id == wanted.id) {
      if (SameContent(other, wanted)) return other;
      return std::unexpected(TakenByOtherContent(wanted.name()));
    }
    if (other.issuer == wanted.issuer) return std::unexpected(IssuerTaken(wanted));
  }
  ALLOD_CHECK_OK(RoomForProvider(wanted, static_cast<std::int64_t>(others.items.size())));
  return wanted;
}

Result<v1::IdentityProvider> IdentityProviderServiceImpl::JudgeUpdate(const IdentityProvider& wanted,
                                                                      const std::string& etag, const Caller& caller) {
  ALLOD_TRY(const IdentityProvider standing, store_.GetProvider(wanted.tenant, wanted.id));
  ALLOD_CHECK_OK(CheckEtag("identity_provider", wanted.name(), EtagOf(standing), etag));
  ALLOD_TRY(IdentityProvider changed, Changed(standing, wanted));
  ALLOD_TRY(TenantIdentity all, store_.ReadIdentity(wanted.tenant, clock_.Now()));
  ALLOD_CHECK_OK(CheckSignInUnused(standing, changed, std::ranges::count(all.members, wanted.id, &Member::provider)));
  const People before{std::move(all.providers), std::move(all.members), std::move(all.roles)};
  ALLOD_CHECK_OK(CheckHolds(standing, changed, before, HeldBy(caller).roles));
  ALLOD_CHECK_OK(CheckOwnerRemains(before, With(before, changed)));
  v1::IdentityProvider out = ToProto(changed);
  if (!SameContent(standing, changed)) out.clear_etag();
  return out;
}

grpc::Status IdentityProviderServiceImpl::CreateIdentityProvider(grpc::ServerContext* context,
                                                                 const v1::CreateIdentityProviderRequest* request,
                                                                 v1::IdentityProvider* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::IdentityProvider> {
    v1::CreateIdentityProviderRequest sealed = *request;
    ALLOD_TRY(IdentityProvider wanted, ProviderFromRequest(sealed, secrets_, clock_.Now()));
    ALLOD_TRY(wanted, ValidProvider(std::move(wanted)));
    ALLOD_TRY(const RequestId request_id, ReadRequestId(sealed));
    if (request->validate_only()) {
      ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
      ALLOD_TRY(const IdentityProvider judged, JudgeCreation(wanted));
      return ToProto(judged);
    }
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
    ALLOD_TRY(const IdentityProvider made,
              InTurn(gates_.writes, call, [&] { return store_.CreateProvider(wanted, request_id); }));
    gateways_.AwaitInForce(*context, made.tenant, made.version);
    return ToProto(made);
  });
}

grpc::Status IdentityProviderServiceImpl::GetIdentityProvider(grpc::ServerContext* context,
                                                              const v1::GetIdentityProviderRequest* request,
                                                              v1::IdentityProvider* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::IdentityProvider> {
    ALLOD_TRY(const ProviderName name, ProviderNameOf("name", request->name()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const IdentityProvider provider, store_.GetProvider(name.tenant, name.id));
    return ToProto(provider);
  });
}

grpc::Status IdentityProviderServiceImpl::ListIdentityProviders(grpc::ServerContext* context,
                                                                const v1::ListIdentityProvidersRequest* request,
                                                                v1::ListIdentityProvidersResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListIdentityProvidersResponse> {
    ALLOD_TRY(const auto parts, MatchName("parent", request->parent(), "tenants/*"));
    ALLOD_TRY(const PageRequest page,
              ParsePage(request->parent() + "/identityProviders", request->page_size(), request->page_token()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const auto providers, store_.ListProviders(parts[0], page));
    v1::ListIdentityProvidersResponse out;
    for (const IdentityProvider& provider : providers.items) *out.add_identity_providers() = ToProto(provider);
    out.set_next_page_token(providers.next_page_token);
    return out;
  });
}

grpc::Status IdentityProviderServiceImpl::UpdateIdentityProvider(grpc::ServerContext* context,
                                                                 const v1::UpdateIdentityProviderRequest* request,
                                                                 v1::IdentityProvider* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::IdentityProvider> {
    v1::UpdateIdentityProviderRequest sealed = *request;
    ALLOD_TRY(IdentityProvider wanted, ProviderFromRequest(sealed, secrets_));
    ALLOD_TRY(wanted, ValidProvider(std::move(wanted)));
    ALLOD_TRY(const RequestId request_id, ReadRequestId(sealed));
    const std::string& etag = request->identity_provider().etag();
    if (request->validate_only()) {
      ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
      return JudgeUpdate(wanted, etag, call.principal);
    }
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
    ALLOD_TRY(const IdentityProvider changed, InTurn(gates_.writes, call, [&] {
                return store_.UpdateProvider(wanted, etag, HeldBy(call.principal).roles, request_id);
              }));
    gateways_.AwaitInForce(*context, changed.tenant, changed.version);
    return ToProto(changed);
  });
}

grpc::Status IdentityProviderServiceImpl::DeleteIdentityProvider(grpc::ServerContext* context,
                                                                 const v1::DeleteIdentityProviderRequest* request,
                                                                 google::protobuf::Empty* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<google::protobuf::Empty> {
    ALLOD_TRY(const ProviderName name, ProviderNameOf("name", request->name()));
    ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
    ALLOD_TRY(const std::int64_t version,
              InTurn(gates_.writes, call, [&] { return store_.DeleteProvider(name.tenant, name.id, request_id); }));
    gateways_.AwaitInForce(*context, name.tenant, version);
    return google::protobuf::Empty();
  });
}

}  // namespace allod::tenancy
