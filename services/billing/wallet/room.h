// Wallets in the program.
#pragma once

#include <memory>

#include "services/billing/room.h"

namespace allod::billing::wallet {

std::unique_ptr<RoomPlan> PlanRoom();

}  // namespace allod::billing::wallet
