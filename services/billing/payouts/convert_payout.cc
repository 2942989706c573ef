#include "services/billing/payouts/convert_payout.h"

#include <fmt/format.h>

#include "services/billing/convert.h"
#include "services/billing/convert_invoice.h"
#include "services/common/rpc/timestamp.h"

namespace allod::billing::payouts {

Result<RevenueShare> FromProto(const v1::RevenueShare& share) {
  if (share.version() != 0 || share.has_create_time()) {
    return InvalidArgument("INVALID_SHARE", "revenue_share: version and create_time are given by the service");
  }
  RevenueShare out{.listing = share.listing(), .publisher = share.publisher(), .basis_points = share.basis_points()};
  ALLOD_CHECK_OK(CheckRevenueShare(out));
  return out;
}

v1::RevenueShare ToProto(const RevenueShare& share) {
  v1::RevenueShare out;
  out.set_listing(share.listing);
  out.set_version(share.version);
  out.set_publisher(share.publisher);
  out.set_basis_points(share.basis_points);
  *out.mutable_create_time() = ToTimestamp(share.create_time);
  return out;
}

v1::Payout ToProto(const Payout& payout) {
  const std::string& currency = payout.key.currency_code;
  v1::Payout out;
  out.set_name(payout.key.ToName());
  out.set_publisher(payout.key.publisher);
  out.set_period(payout.key.period.name);
  out.set_number(payout.number);
  *out.mutable_issue_time() = ToTimestamp(payout.issue_time);
  out.set_legal_entity(fmt::format("legalEntities/{}", payout.legal_entity));
  v1::Party& payer = *out.mutable_payer();
  payer.set_display_name(payout.payer.name);
  payer.set_street(payout.payer.street);
  payer.set_city(payout.payer.city);
  payer.set_postal_code(payout.payer.postal_code);
  payer.set_country_code(payout.payer.country_code);
  payer.set_tax_id(payout.payer.tax_id);
  payer.set_registration_id(payout.payer.registration_id);
  *out.mutable_earned() = billing::ToProto(payout.earned, currency);
  *out.mutable_payable() = billing::ToProto(payout.payable, currency);
  for (const PayoutLine& line : payout.lines) {
    v1::Payout::Line& to = *out.add_lines();
    to.set_number(line.number);
    to.set_listing(line.listing);
    to.set_basis_points(line.basis_points);
    to.set_document_count(line.document_count);
    *to.mutable_net() = billing::ToProto(line.net, currency);
    *to.mutable_share() = billing::ToProto(line.share, currency);
  }
  out.set_paid_on(payout.paid_on);
  out.set_payment_reference(payout.payment_reference);
  return out;
}

}  // namespace allod::billing::payouts
