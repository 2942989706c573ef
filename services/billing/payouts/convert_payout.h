// Protocol messages of payouts to domain values and back.
#pragma once

#include "allod/billing/v1/payout.pb.h"
#include "services/billing/payouts/payout.h"

namespace allod::billing::payouts {

// Checked (CheckRevenueShare).
Result<RevenueShare> FromProto(const v1::RevenueShare& share);
v1::RevenueShare ToProto(const RevenueShare& share);
v1::Payout ToProto(const Payout& payout);

}  // namespace allod::billing::payouts
