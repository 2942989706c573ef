// Who issues invoices, and how an account is invoiced.

#include "allod/billing/v1/billing_account.grpc.pb.h"
#include "allod/billing/v1/legal_entity.grpc.pb.h"
#include "cli/kinds/calls.h"
#include "services/common/ids.h"

namespace allod::cli::kinds {
namespace {

namespace billing_v1 = allod::billing::v1;
using google::protobuf::Message;
using net::Services;

ResourceKind LegalEntityKind() {
  const auto set = [](const Services& services, const Message& wanted, bool validate_only) {
    billing_v1::SetLegalEntityRequest request;
    *request.mutable_legal_entity() = dynamic_cast<const billing_v1::LegalEntity&>(wanted);
    request.set_validate_only(validate_only);
    return net::Ask<billing_v1::LegalEntityService>(services, &billing_v1::LegalEntityService::Stub::SetLegalEntity,
                                                    request);
  };
  return {.kind = "LegalEntity",
          .plural = "legalEntities",
          .pattern = "legalEntities/*",
          .columns = {{"NAME", "name"},
                      {"DISPLAY NAME", "party.display_name"},
                      {"COUNTRY", "party.country_code"},
                      {"TAX ID", "party.tax_id"},
                      {"INVOICES", "invoice_prefix"},
                      {"CREDIT NOTES", "credit_note_prefix"}},
          .prototype = &billing_v1::LegalEntity::default_instance(),
          .spec_fields = {"party", "invoice_prefix", "credit_note_prefix", "payment_days", "payment_terms"},
          .get = Getter<billing_v1::LegalEntityService>(&billing_v1::LegalEntityService::Stub::GetLegalEntity),
          .list = Lister<billing_v1::LegalEntityService>(&billing_v1::LegalEntityService::Stub::ListLegalEntities),
          .create = [set](const Services& services, const Message& wanted,
                          const Attempt& attempt) { return Done(set(services, wanted, attempt.validate_only)); },
          .preview = [set](const Services& services, const Message&,
                           const Message& wanted) { return Own(set(services, wanted, true)); },
          .update = [set](const Services& services, const Message&, const Message& wanted,
                          const std::string&) { return Done(set(services, wanted, false)); }};
}

ResourceKind BillingProfileKind() {
  const auto set = [](const Services& services, const Message& wanted, bool validate_only) {
    billing_v1::SetBillingProfileRequest request;
    *request.mutable_billing_profile() = dynamic_cast<const billing_v1::BillingProfile&>(wanted);
    request.set_validate_only(validate_only);
    return net::Ask<billing_v1::BillingAccountService>(
        services, &billing_v1::BillingAccountService::Stub::SetBillingProfile, request);
  };
  return {.kind = "BillingProfile",
          .plural = "billingProfiles",
          .pattern = "tenants/*/billingProfile",
          .columns = {{"NAME", "name"},
                      {"BUYER", "party.display_name"},
                      {"LEGAL ENTITY", "legal_entity"},
                      {"TAX", "tax_category"},
                      {"BASIS POINTS", "tax_basis_points"},
                      {"BY HAND", "finalise_by_hand"}},
          .prototype = &billing_v1::BillingProfile::default_instance(),
          .spec_fields = {"legal_entity", "party", "buyer_reference", "tax_category", "tax_basis_points", "tax_note",
                          "finalise_by_hand"},
          .get = Getter<billing_v1::BillingAccountService>(&billing_v1::BillingAccountService::Stub::GetBillingProfile),
          .create = [set](const Services& services, const Message& wanted,
                          const Attempt& attempt) { return Done(set(services, wanted, attempt.validate_only)); },
          .missing = [](const Message& wanted, const Error& error) -> std::vector<std::string> {
            if (error.reason != "NO_LEGAL_ENTITY") return {};
            return {dynamic_cast<const billing_v1::BillingProfile&>(wanted).legal_entity()};
          },
          .preview = [set](const Services& services, const Message&,
                           const Message& wanted) { return Own(set(services, wanted, true)); },
          .update = [set](const Services& services, const Message&, const Message& wanted,
                          const std::string&) { return Done(set(services, wanted, false)); }};
}

}  // namespace

std::vector<ResourceKind> InvoicingKinds() { return {LegalEntityKind(), BillingProfileKind()}; }

}  // namespace allod::cli::kinds
