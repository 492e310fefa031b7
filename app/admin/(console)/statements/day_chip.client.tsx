'use client';
/** How a day's statement stands: word, sign and colour together. */
import {
  CheckCircleOutlined,
  ClockCircleOutlined,
  CloseCircleOutlined,
  MinusCircleOutlined,
  QuestionCircleOutlined,
  WarningOutlined,
} from '@ant-design/icons';
import { Tag } from 'antd';
import type { ComponentType } from 'react';
import type { DayLook } from '../../../../lib/admin_statements.ts';

const looks: Record<DayLook, { colour: string; Icon: ComponentType }> = {
  equal: { colour: 'success', Icon: CheckCircleOutlined },
  different: { colour: 'error', Icon: CloseCircleOutlined },
  empty: { colour: 'default', Icon: MinusCircleOutlined },
  waiting: { colour: 'default', Icon: ClockCircleOutlined },
  refused: { colour: 'warning', Icon: WarningOutlined },
  none: { colour: 'default', Icon: QuestionCircleOutlined },
  early: { colour: 'default', Icon: ClockCircleOutlined },
};

export function DayChip({ look, text }: { look: DayLook; text: string }) {
  const { colour, Icon } = looks[look];
  return (
    <Tag color={colour} icon={<Icon />} className="chip" data-testid="day-look" data-look={look}>
      {text}
    </Tag>
  );
}

/** The sign alone, for the calendar, where the word stands beside it. */
export function DaySign({ look }: { look: DayLook }) {
  const { Icon } = looks[look];
  return <Icon aria-hidden />;
}
