'use client';
/** antd's components that server-rendered pages of the console place: theirs is browser code, and this is its border. */
export { CheckCircleOutlined, InboxOutlined } from '@ant-design/icons';
export { Alert, Result, Skeleton, Tag, Timeline } from 'antd';
