// Files of a payout: of its rows alone.
#pragma once

#include "services/billing/documents/document.h"
#include "services/billing/payouts/payout.h"
#include "services/billing/typesetting/sheet.h"

namespace allod::billing::payouts {

// RFC 4180, a row for each line.
Result<documents::Document> MakeCsv(const Payout& payout);
// In English, for a typesetter.
Result<typesetting::Sheet> SheetOf(const Payout& payout);

}  // namespace allod::billing::payouts
