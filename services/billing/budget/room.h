// Budgets in the program.
#pragma once

#include <memory>

#include "services/billing/room.h"

namespace allod::billing::budget {

std::unique_ptr<RoomPlan> PlanRoom();

}  // namespace allod::billing::budget
