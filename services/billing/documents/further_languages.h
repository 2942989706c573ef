// Languages of words.h beside those that words.cc has itself.
#pragma once

#include <span>

#include "services/billing/documents/words.h"

namespace allod::billing::documents {

std::span<const Words> FurtherLanguages();

}  // namespace allod::billing::documents
