// Charges to protocol messages; convert.h says how.
#pragma once

#include <string>

#include "allod/billing/v1/invoice.pb.h"
#include "services/billing/charge.h"

namespace allod::billing {

void Fill(const ChargeTerms& charge, std::int64_t quantity, Amount unit_price, const std::string& currency_code,
          ::allod::billing::v1::Invoice::Charge& out);

}  // namespace allod::billing
