'use client';
/**
 * Letting a face device in: what it gave as raw data goes to WeChat, and what WeChat answered is shown to be copied
 * into the device. Where the device stands is remembered by this browser; raw data and answer are not.
 */
import { Alert, Button, Input, type InputRef } from 'antd';
import { type FormEvent, useEffect, useRef, useState } from 'react';
import { ask, leaveIfSignedOut } from '../../ask.client.ts';
import { Field } from '../field.client.tsx';

const kept_name = 'guitai_face_device';
const word = /^[\w.:-]{1,32}$/;
const blank = { store_id: '', store_name: '', device_id: '', rawdata: '' };
type Draft = typeof blank;
const names = Object.keys(blank) as (keyof Draft)[];
const labels: Record<keyof Draft, string> = {
  store_id: '门店编号',
  store_name: '门店名称',
  device_id: '设备编号',
  rawdata: 'rawdata（设备的 getWxpayfaceRawdata 给出）',
};

function faultsOf({ store_id, store_name, device_id, rawdata }: Draft): Partial<Draft> {
  const asWord = '请填 1 到 32 位字母、数字或 _ . : -';
  return {
    ...(word.test(store_id) ? {} : { store_id: asWord }),
    ...(store_name === '' || store_name.length > 42 || /[<>&=\p{Cc}]/u.test(store_name)
      ? { store_name: '请填门店名称，最多 42 个字，不含 < > & =' }
      : {}),
    ...(word.test(device_id) ? {} : { device_id: asWord }),
    ...(/^[\w+/=.-]{1,2048}$/.test(rawdata) ? {} : { rawdata: '请原样粘贴设备给出的 rawdata' }),
  };
}

interface Granted {
  authinfo: string;
  expires_in_s: number;
}

export function FaceDevice({ sub_mch_id }: { sub_mch_id: string | undefined }) {
  const [draft, setDraft] = useState(blank);
  const [wrong, setWrong] = useState<Partial<Draft>>({});
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState<string>();
  const [granted, setGranted] = useState<Granted>();
  const inputs = useRef<Partial<Record<keyof Draft, InputRef | null>>>({});

  useEffect(() => {
    const kept = new URLSearchParams(localStorage.getItem(kept_name) ?? '');
    setDraft((old) => ({
      ...old,
      store_id: kept.get('store_id') ?? '',
      store_name: kept.get('store_name') ?? '',
      device_id: kept.get('device_id') ?? '',
    }));
  }, []);

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    if (busy) return;
    const device = {
      store_id: draft.store_id.trim(),
      store_name: draft.store_name.trim(),
      device_id: draft.device_id.trim(),
      rawdata: draft.rawdata.trim(),
    };
    const found = faultsOf(device);
    setWrong(found);
    setRefused(undefined);
    setGranted(undefined);
    const first = names.find((name) => found[name] !== undefined);
    if (first !== undefined) {
      inputs.current[first]?.focus();
      return;
    }
    setBusy(true);
    const answer = await ask<Granted>('/api/admin/counter/face', {
      ...device,
      ...(sub_mch_id === undefined ? {} : { sub_mch_id }),
    });
    setBusy(false);
    if (leaveIfSignedOut(answer)) return;
    if (!answer.ok) {
      setRefused(answer.message);
      return;
    }
    const { rawdata: _, ...place } = device;
    localStorage.setItem(kept_name, new URLSearchParams(place).toString());
    setDraft((old) => ({ ...old, rawdata: '' }));
    setGranted(answer.body);
  }

  return (
    <form className="desk-form" onSubmit={(event) => void submit(event)} noValidate>
      {names.map((name) => (
        <Field key={name} label={labels[name]} wrong={wrong[name]} testid={`device-${name}-wrong`}>
          {(props) => (
            <Input
              {...props}
              ref={(input) => {
                inputs.current[name] = input;
              }}
              autoComplete="off"
              value={draft[name]}
              onChange={({ target }) => setDraft((old) => ({ ...old, [name]: target.value }))}
              data-testid={`device-${name}`}
            />
          )}
        </Field>
      ))}
      <Button htmlType="submit" size="large" loading={busy} data-testid="device-submit">
        换取 authinfo
      </Button>
      <div aria-live="polite">
        {refused === undefined ? null : <Alert showIcon type="error" title={refused} />}
        {granted === undefined ? null : (
          <Field
            label={`authinfo（填入设备，${Math.floor(granted.expires_in_s / 60)} 分钟内有效）`}
            wrong={undefined}
            testid="device-authinfo-wrong"
          >
            {(props) => (
              <Input.TextArea
                {...props}
                readOnly
                rows={4}
                value={granted.authinfo}
                onFocus={({ target }) => target.select()}
                data-testid="device-authinfo"
              />
            )}
          </Field>
        )}
      </div>
    </form>
  );
}
