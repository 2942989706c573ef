// The languages of words.h, by their codes.
#pragma once

#include <span>

#include "services/billing/documents/words.h"

namespace allod::billing::documents {

std::span<const Words> Languages();

}  // namespace allod::billing::documents
