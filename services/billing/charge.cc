#include "services/billing/charge.h"

namespace allod::billing {

Result<Amount> ExactOf(std::int64_t quantity, Amount unit_price, std::int64_t per) {
  ALLOD_TRY(const Amount product, Multiply(unit_price, quantity));
  const Int128 sign = product.pico() < 0 ? -1 : 1;
  const Int128 whole = product.pico() * sign;
  Int128 out = whole / per;
  const Int128 rest = (whole % per) * 2;
  if (rest > per || (rest == per && out % 2 != 0)) ++out;
  return Amount::FromPico(out * sign);
}

Result<Charge> InstanceTime(Time month, std::string instance, std::string variant, std::string isolation_class,
                            Uuid price_book, std::int64_t seconds, Amount hour_price) {
  Charge out{.terms = {.kind = ChargeKind::kInstanceTime, .unit = ChargeUnit::kSecond, .per = kSecondsPerHour},
             .month = month,
             .instance = std::move(instance),
             .variant = std::move(variant),
             .isolation_class = std::move(isolation_class),
             .price_book = price_book,
             .quantity = seconds,
             .unit_price = hour_price};
  ALLOD_TRY(out.exact, ExactOf(seconds, hour_price, kSecondsPerHour));
  return out;
}

Result<Amount> TotalOf(const std::vector<Charge>& charges) {
  Amount total;
  for (const Charge& charge : charges) {
    ALLOD_TRY(total, Add(total, charge.exact));
  }
  return total;
}

}  // namespace allod::billing
