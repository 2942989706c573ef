// RPCs of IdentityProviderService. Thread-safe; borrows all that it is given. What changes providers returns when the
// gateways that keep up have applied it.
#pragma once

#include "allod/tenancy/v1/identity_provider.grpc.pb.h"
#include "services/common/clock.h"
#include "services/tenancy/call_gates.h"
#include "services/tenancy/client_secrets.h"
#include "services/tenancy/identity_service.h"
#include "services/tenancy/identity_store.h"

namespace allod::tenancy {

class IdentityProviderServiceImpl final : public v1::IdentityProviderService::Service {
 public:
  IdentityProviderServiceImpl(IdentityStore& store, IdentityServiceImpl& gateways, const ClientSecrets& secrets,
                              const Clock& clock, CallGates& gates)
      : store_(store), gateways_(gateways), secrets_(secrets), clock_(clock), gates_(gates) {}

  grpc::Status CreateIdentityProvider(grpc::ServerContext* context, const v1::CreateIdentityProviderRequest* request,
                                      v1::IdentityProvider* response) override;
  grpc::Status GetIdentityProvider(grpc::ServerContext* context, const v1::GetIdentityProviderRequest* request,
                                   v1::IdentityProvider* response) override;
  grpc::Status ListIdentityProviders(grpc::ServerContext* context, const v1::ListIdentityProvidersRequest* request,
                                     v1::ListIdentityProvidersResponse* response) override;
  grpc::Status UpdateIdentityProvider(grpc::ServerContext* context, const v1::UpdateIdentityProviderRequest* request,
                                      v1::IdentityProvider* response) override;
  grpc::Status DeleteIdentityProvider(grpc::ServerContext* context, const v1::DeleteIdentityProviderRequest* request,
                                      google::protobuf::Empty* response) override;

 private:
  // What the change would leave, without making it.
  Result<IdentityProvider> JudgeCreation(const IdentityProvider& wanted);
  Result<v1::IdentityProvider> JudgeUpdate(const IdentityProvider& wanted, const std::string& etag,
                                           const Caller& caller);

  IdentityStore& store_;
  IdentityServiceImpl& gateways_;
  const ClientSecrets& secrets_;
  const Clock& clock_;
  CallGates& gates_;
};

}  // namespace allod::tenancy
