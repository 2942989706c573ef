#include "services/billing/convert_charge.h"

namespace allod::billing {
namespace {

using Proto = ::allod::billing::v1::Invoice::Charge;

Proto::Kind KindOf(ChargeKind kind) {
  switch (kind) {
    case ChargeKind::kInstanceTime:
      return Proto::KIND_INSTANCE_TIME;
    case ChargeKind::kFreeAllowance:
      return Proto::KIND_FREE_ALLOWANCE;
    case ChargeKind::kVolumeTier:
      return Proto::KIND_VOLUME_TIER;
    case ChargeKind::kDiscount:
      return Proto::KIND_DISCOUNT;
    case ChargeKind::kCommitmentShortfall:
      return Proto::KIND_COMMITMENT_SHORTFALL;
    case ChargeKind::kRerating:
      return Proto::KIND_RERATING;
  }
  return Proto::KIND_UNSPECIFIED;
}

Proto::Unit UnitOf(ChargeUnit unit) {
  switch (unit) {
    case ChargeUnit::kOne:
      return Proto::UNIT_ONE;
    case ChargeUnit::kSecond:
      return Proto::UNIT_SECOND;
    case ChargeUnit::kToken:
      return Proto::UNIT_TOKEN;
  }
  return Proto::UNIT_UNSPECIFIED;
}

}  // namespace

void Fill(const ChargeTerms& charge, std::int64_t quantity, Amount unit_price, const std::string& currency_code,
          Proto& out) {
  out.set_kind(KindOf(charge.kind));
  out.set_detail(charge.detail);
  out.set_quantity(quantity);
  out.set_unit(UnitOf(charge.unit));
  out.mutable_unit_price()->set_currency_code(currency_code);
  out.mutable_unit_price()->set_amount(unit_price.ToString());
  out.set_price_quantity(charge.per);
}

}  // namespace allod::billing
