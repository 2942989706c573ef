// Price terms in the program.
#pragma once

#include <memory>

#include "services/billing/room.h"

namespace allod::billing::terms {

std::unique_ptr<RoomPlan> PlanRoom();

}  // namespace allod::billing::terms
