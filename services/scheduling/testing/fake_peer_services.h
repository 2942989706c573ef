// Small servers in place of tenancy, catalog and billing, for tests: one tenant, and a neighbour that is as it is; one
// project each, one listing, one variant. Change the fields before the calls that shall see them.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "allod/billing/v1/billing_account.grpc.pb.h"
#include "allod/billing/v1/instance_time.grpc.pb.h"
#include "allod/billing/v1/price_book.grpc.pb.h"
#include "allod/catalog/v1/listing.grpc.pb.h"
#include "allod/catalog/v1/model.grpc.pb.h"
#include "allod/tenancy/v1/project.grpc.pb.h"
#include "allod/tenancy/v1/tenant.grpc.pb.h"
#include "services/common/rpc/server.h"
#include "tests/support/temp_dir.h"

namespace allod::scheduling {

class FakePeerServices {
 public:
  FakePeerServices() {
    tenant.set_name("tenants/ke");
    tenant.set_state(tenancy::v1::Tenant::STATE_ACTIVE);
    tenant.add_residency("ke");
    listing.set_name("listings/l");
    listing.set_version("models/m/versions/1");
    listing.set_state(catalog::v1::Listing::STATE_ACTIVE);
    listing.set_price_book("priceBooks/b");
    variant.set_name("models/m/versions/1/variants/q4_k_m");
    variant.set_artifact_sha256(std::string(64, 'a'));
    variant.set_artifact_bytes(1 << 20);
    version.set_name("models/m/versions/1");
    version.set_trained_context_tokens(1024);
    version.set_parameter_count(1'000'000);
    account.set_currency_code("KES");
    price_book.add_prices()->set_currency_code("KES");
    server_ = *Server::Start({.listen = target},
                             {&tenants_, &projects_, &listings_, &models_, &accounts_, &price_books_, &times_});
  }
  void Stop() { server_->Stop(std::chrono::milliseconds(0)); }

  static constexpr char kNeighbour[] = "tenants/ug";

  const TempDir sockets;
  const std::string target = "unix:" + (sockets / "s.sock").string();
  tenancy::v1::Tenant tenant;
  tenancy::v1::Quota project_quota;
  catalog::v1::Listing listing;
  catalog::v1::Variant variant;
  catalog::v1::Version version;
  billing::v1::BillingAccount account;
  billing::v1::PriceBook price_book;
  bool credit_used_up = false;
  std::map<std::string, billing::v1::PriceBook> more_price_books;  // by name

 private:
  // The one thing of a kind, by its name.
  template <typename Request, typename Message>
  static grpc::Status Answer(const Request& request, const std::string& name, const Message& message, Message* out) {
    if (request.name() != name) return ToGrpc(Error{Code::kNotFound, "NOT_FOUND", request.name() + " does not exist"});
    *out = message;
    return grpc::Status::OK;
  }

  struct Tenants final : tenancy::v1::TenantService::Service {
    explicit Tenants(FakePeerServices& peers) : all(peers) {}
    grpc::Status GetTenant(grpc::ServerContext*, const tenancy::v1::GetTenantRequest* request,
                           tenancy::v1::Tenant* out) override {
      tenancy::v1::Tenant known = all.tenant;
      if (request->name() == kNeighbour) known.set_name(kNeighbour);
      return Answer(*request, known.name(), known, out);
    }
    FakePeerServices& all;
  };
  struct Projects final : tenancy::v1::ProjectService::Service {
    explicit Projects(FakePeerServices& peers) : all(peers) {}
    grpc::Status GetProject(grpc::ServerContext*, const tenancy::v1::GetProjectRequest* request,
                            tenancy::v1::Project* out) override {
      tenancy::v1::Project project;
      *project.mutable_quota() = all.project_quota;
      project.set_name((TenantOf(request->name()) == kNeighbour ? kNeighbour : "tenants/ke") +
                       std::string("/projects/p"));
      return Answer(*request, project.name(), project, out);
    }
    FakePeerServices& all;
  };
  struct Listings final : catalog::v1::ListingService::Service {
    explicit Listings(FakePeerServices& peers) : all(peers) {}
    grpc::Status GetListing(grpc::ServerContext*, const catalog::v1::GetListingRequest* request,
                            catalog::v1::Listing* out) override {
      return Answer(*request, all.listing.name(), all.listing, out);
    }
    FakePeerServices& all;
  };
  struct Models final : catalog::v1::ModelService::Service {
    explicit Models(FakePeerServices& peers) : all(peers) {}
    grpc::Status GetVariant(grpc::ServerContext*, const catalog::v1::GetVariantRequest* request,
                            catalog::v1::Variant* out) override {
      return Answer(*request, all.variant.name(), all.variant, out);
    }
    grpc::Status GetVersion(grpc::ServerContext*, const catalog::v1::GetVersionRequest* request,
                            catalog::v1::Version* out) override {
      return Answer(*request, all.version.name(), all.version, out);
    }
    FakePeerServices& all;
  };
  struct Accounts final : billing::v1::BillingAccountService::Service {
    explicit Accounts(FakePeerServices& peers) : all(peers) {}
    grpc::Status GetBillingAccount(grpc::ServerContext*, const billing::v1::GetBillingAccountRequest* request,
                                   billing::v1::BillingAccount* out) override {
      const bool open = !all.account.currency_code().empty();
      const std::string owner = TenantOf(request->name()) == kNeighbour ? kNeighbour : "tenants/ke";
      return Answer(*request, open ? owner + "/billingAccount" : "", all.account, out);
    }
    FakePeerServices& all;
  };
  struct PriceBooks final : billing::v1::PriceBookService::Service {
    explicit PriceBooks(FakePeerServices& peers) : all(peers) {}
    grpc::Status GetPriceBook(grpc::ServerContext*, const billing::v1::GetPriceBookRequest* request,
                              billing::v1::PriceBook* out) override {
      const auto other = all.more_price_books.find(request->name());
      if (other == all.more_price_books.end()) return Answer(*request, "priceBooks/b", all.price_book, out);
      *out = other->second;
      return grpc::Status::OK;
    }
    FakePeerServices& all;
  };

  struct Times final : billing::v1::InstanceTimeService::Service {
    explicit Times(FakePeerServices& peers) : all(peers) {}
    grpc::Status RecordInstanceTime(grpc::ServerContext*, const billing::v1::RecordInstanceTimeRequest* /*request*/,
                                    billing::v1::RecordInstanceTimeResponse* out) override {
      out->set_credit_used_up(all.credit_used_up);
      return grpc::Status::OK;
    }
    FakePeerServices& all;
  };

  Tenants tenants_{*this};
  Projects projects_{*this};
  Listings listings_{*this};
  Models models_{*this};
  Accounts accounts_{*this};
  PriceBooks price_books_{*this};
  Times times_{*this};
  std::unique_ptr<Server> server_;
};

}  // namespace allod::scheduling
